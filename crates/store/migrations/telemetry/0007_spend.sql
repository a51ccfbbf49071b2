-- What answers cost, by day: small enough to keep for ever and to sum in a page.
-- Days are those of UTC, counted from 1970-01-01. `arm` is that of cells, or
-- `try` for answers somebody asked for while writing a change.
CREATE TABLE spend (
  day INTEGER NOT NULL,
  app TEXT NOT NULL,
  release TEXT NOT NULL,
  arm TEXT NOT NULL,
  requests INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cost_nano_usd INTEGER NOT NULL,
  PRIMARY KEY (day, app, release, arm)
) WITHOUT ROWID;

CREATE INDEX spend_by_app ON spend (app, day);

-- What was counted before.
INSERT INTO spend
  SELECT second / 86400, app, release, arm,
         SUM(json_extract(cell, '$.n')),
         SUM(json_extract(cell, '$.prompt_tokens')),
         SUM(json_extract(cell, '$.completion_tokens')),
         SUM(json_extract(cell, '$.cost_nano_usd'))
  FROM cells GROUP BY 1, 2, 3, 4 HAVING SUM(json_extract(cell, '$.n')) > 0;

INSERT INTO spend
  SELECT at / 86400000, app, release, arm, COUNT(*),
         SUM(json_extract(record, '$.prompt_tokens')),
         SUM(json_extract(record, '$.completion_tokens')),
         SUM(json_extract(record, '$.cost_nano_usd'))
  FROM requests WHERE arm = 'preview' GROUP BY 1, 2, 3, 4;
