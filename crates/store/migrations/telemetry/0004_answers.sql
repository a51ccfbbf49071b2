-- Which answer an outcome is about: a hash of its request id, by which a label of
-- people finds what a judge said of the same answer. Unknown for older rows.
ALTER TABLE outcomes ADD COLUMN answer INTEGER;
