-- The changes of one app in one state, without a look at all the others of it.
CREATE INDEX objects_by_app_state ON objects (kind, app, state, seq);
