-- Tokens of people are found by whose they are.
UPDATE objects SET parent = json_extract(doc, '$.person')
WHERE kind = 'token' AND parent IS NULL AND json_extract(doc, '$.person') IS NOT NULL;
