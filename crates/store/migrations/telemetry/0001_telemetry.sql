-- How far each gateway process has shipped. Batches of one epoch come in order,
-- so the latest number is enough to know a repeated one.
CREATE TABLE shipped (
    gateway TEXT    NOT NULL,
    epoch   TEXT    NOT NULL,
    seq     TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (gateway, epoch)
);

-- Cells, merged over gateways. `rollout` is -1 outside a rollout, because NULLs
-- are all different to a unique index.
CREATE TABLE cells (
    rollout INTEGER NOT NULL,
    second  INTEGER NOT NULL,
    app     TEXT    NOT NULL,
    release TEXT    NOT NULL,
    arm     TEXT    NOT NULL,
    step    INTEGER NOT NULL,
    share   INTEGER NOT NULL,
    cell    TEXT    NOT NULL,
    UNIQUE (rollout, second, app, release, arm, step, share)
);
CREATE INDEX cells_by_app    ON cells (app, second);
CREATE INDEX cells_by_second ON cells (second);

-- One row per answer; a mirrored copy has the id of what it copies.
CREATE TABLE requests (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL,
    arm     TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    app     TEXT    NOT NULL,
    release TEXT    NOT NULL,
    rollout INTEGER NOT NULL,
    subject TEXT    NOT NULL,
    record  TEXT    NOT NULL,
    UNIQUE (id, arm)
);
CREATE INDEX requests_by_app     ON requests (app, seq);
CREATE INDEX requests_by_release ON requests (app, release, seq);
CREATE INDEX requests_by_rollout ON requests (rollout, arm, seq);
CREATE INDEX requests_by_subject ON requests (app, subject, at);
CREATE INDEX requests_by_at      ON requests (at);

-- What was said about answers, each statement counted once: `unit` is what may
-- say one thing once (an input within a rollout, a request outside).
CREATE TABLE feedback (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout INTEGER NOT NULL,
    arm     TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    unit    TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    value   REAL,
    comment TEXT,
    UNIQUE (rollout, arm, name, unit)
);
CREATE INDEX feedback_by_request ON feedback (id);
CREATE INDEX feedback_by_at      ON feedback (at);

-- Feedback that came before the record it speaks of: `id` is the request, or
-- `app` and `subject` name whose latest it is.
CREATE TABLE waiting_feedback (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    id       TEXT,
    app      TEXT,
    subject  TEXT,
    shadow   INTEGER NOT NULL,
    feedback TEXT    NOT NULL
);
