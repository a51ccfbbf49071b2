-- Objects: one JSON document per noun, with a generation that only grows.
-- `seq` is the order of creation and the key that pages are cut by.
CREATE TABLE objects (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    app        TEXT,
    state      TEXT,
    parent     TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX objects_by_kind   ON objects (kind, seq);
CREATE INDEX objects_by_app    ON objects (kind, app, seq);
CREATE INDEX objects_by_state  ON objects (kind, state, seq);
CREATE INDEX objects_by_parent ON objects (kind, parent, seq);

-- The last generation of what was deleted: a name that comes back goes on
-- counting, so that a generation from before never fits what is there now.
CREATE TABLE tombstones (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE sequences (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
);

-- The outbox. A key stays for ever: an effect is enqueued once.
CREATE TABLE effects (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL,
    payload    TEXT    NOT NULL,
    not_before INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    created_at INTEGER NOT NULL,
    done_at    INTEGER
);
CREATE INDEX effects_due ON effects (not_before, id) WHERE done_at IS NULL;

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
);

-- The audit log: entries, the hashes of complete subtrees, and where it ends.
CREATE TABLE log_entries (
    idx    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL,
    app    TEXT,
    entry  BLOB    NOT NULL
);
CREATE INDEX log_by_at     ON log_entries (at, idx);
CREATE INDEX log_by_actor  ON log_entries (actor, idx);
CREATE INDEX log_by_action ON log_entries (action, idx);
CREATE INDEX log_by_object ON log_entries (object, idx);
CREATE INDEX log_by_app    ON log_entries (app, idx);

CREATE TABLE log_hashes (
    level INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    hash  BLOB    NOT NULL,
    PRIMARY KEY (level, idx)
) WITHOUT ROWID;

CREATE TABLE log_state (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    root BLOB    NOT NULL
);

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    root BLOB    NOT NULL,
    note TEXT    NOT NULL,
    at   INTEGER NOT NULL
);

-- Append-only, also for somebody with a database shell and good intentions.
CREATE TRIGGER log_entries_stay BEFORE UPDATE ON log_entries
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER log_entries_remain BEFORE DELETE ON log_entries
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER log_hashes_stay BEFORE UPDATE ON log_hashes
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER log_hashes_remain BEFORE DELETE ON log_hashes
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
