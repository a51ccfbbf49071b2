-- Outcomes of an experiment are kept under its number, which no rollout has.
-- What was drawn, as JSON: the variant, the segment, and the probability of each
-- variant. None of a rollout.
ALTER TABLE outcomes ADD COLUMN drawn TEXT;
