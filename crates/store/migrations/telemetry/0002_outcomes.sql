-- What the tests of a rollout see: one row per answer, and one per piece of
-- feedback about one. Sorted as it is read: by the time at which it became known,
-- ties by a hash, so that the order says nothing about who delivered first.
-- Hashes are 64 bits, kept as the signed number of the same bits.
CREATE TABLE outcomes (
    rollout       INTEGER NOT NULL,
    known         INTEGER NOT NULL,
    id            INTEGER NOT NULL,
    candidate     INTEGER NOT NULL,
    share         INTEGER NOT NULL,
    step          INTEGER NOT NULL,
    unit          INTEGER NOT NULL,
    pair          INTEGER,
    input         INTEGER NOT NULL,
    segment       INTEGER,
    halvings      INTEGER NOT NULL,
    failed        INTEGER,
    fallback      INTEGER,
    latency_us    INTEGER,
    ttft_us       INTEGER,
    cost_nano_usd INTEGER,
    output_tokens INTEGER,
    name          TEXT,
    value         REAL,
    PRIMARY KEY (rollout, known, id)
) WITHOUT ROWID;

-- How far each rollout has been judged: no outcome is ever added at or before
-- `until`. `at` is what the clock said when it was set.
CREATE TABLE judged (
    rollout INTEGER PRIMARY KEY,
    until   INTEGER NOT NULL,
    at      INTEGER NOT NULL
);

-- How many outcomes came in the present window of time and in the one before,
-- answers and feedback apart.
CREATE TABLE outcome_rates (
    rollout  INTEGER NOT NULL,
    feedback INTEGER NOT NULL,
    window   INTEGER NOT NULL,
    seen     INTEGER NOT NULL,
    before   INTEGER NOT NULL,
    PRIMARY KEY (rollout, feedback)
) WITHOUT ROWID;

-- The share its answer was given at, for the second word on one input.
ALTER TABLE feedback ADD COLUMN share INTEGER NOT NULL DEFAULT 0;
