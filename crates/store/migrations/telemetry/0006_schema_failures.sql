-- Whether an answer was not what its app's schema wants. Empty where none was
-- checked, and for older rows.
ALTER TABLE outcomes ADD COLUMN schema_failed INTEGER;
