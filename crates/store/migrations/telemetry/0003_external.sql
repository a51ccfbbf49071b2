-- What a metrics server said about external signals: one row per question. Kept
-- so that a replay of the rollout decides the same.
CREATE TABLE external (
    rollout INTEGER NOT NULL,
    signal  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    sample  TEXT NOT NULL,
    PRIMARY KEY (rollout, signal, at)
) WITHOUT ROWID;
