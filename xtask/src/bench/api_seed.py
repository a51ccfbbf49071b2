"""Fills the databases of a stopped server with many apps, changes and requests.

Each new row is a copy of one the server wrote itself, under another name and
number, so that what is read back is what the server reads.
usage: api_seed.py DATA APPS CHANGES REQUESTS
"""
import json
import sqlite3
import sys

data, apps, changes, requests = sys.argv[1], *map(int, sys.argv[2:5])
STATES = ["live", "live", "live", "rolled_back", "rejected", "withdrawn", "live", "needs_fixes"]


def app(i):
    return f"seeded-{i:04}"


state = sqlite3.connect(f"{data}/state.db", isolation_level=None)
state.execute("BEGIN IMMEDIATE")
INSERT = (
    "INSERT INTO objects (kind, id, generation, app, state, parent, created_at, updated_at, doc)"
    " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)"
)


def model(kind):
    row = state.execute(
        "SELECT doc, created_at, state FROM objects WHERE kind = ? ORDER BY seq DESC LIMIT 1", (kind,)
    ).fetchone()
    if row is None:
        sys.exit(f"there is no {kind} to copy")
    return json.loads(row[0]), row[1], row[2]


doc, at, _ = model("app")
doc.update(rollout=None, experiment=None, killed=None)
state.executemany(
    INSERT,
    (
        ("app", app(i), app(i), None, None, at, at, json.dumps(doc | {"app": app(i), "salt": f"s{i}"}))
        for i in range(apps)
    ),
)
doc, at, _ = model("change")


def change(n):
    word = STATES[n % len(STATES)]
    if n % 500 == 0:
        word = "needs_approval"
    name = app(n * 7919 % apps)
    new = doc | {"id": f"ch-{n}", "app": name, "state": word, "title": f"Change number {n}", "rollout": None}
    return ("change", f"ch-{n}", name, word, None, at + n, at + n, json.dumps(new))


state.executemany(INSERT, (change(n) for n in range(1_000_000, 1_000_000 + changes)))
state.execute("COMMIT")
state.execute("ANALYZE")
state.close()

telemetry = sqlite3.connect(f"{data}/telemetry.db", isolation_level=None)
telemetry.execute("BEGIN IMMEDIATE")
row = telemetry.execute(
    "SELECT id, arm, at, app, release, rollout, subject, record FROM requests ORDER BY seq DESC LIMIT 1"
).fetchone()
if row is None:
    sys.exit("there is no request to copy")
_, arm, at, _, release, rollout, _, record = row
record = json.loads(record)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def request_id(n):
    text = ""
    for _ in range(8):
        text = ALPHABET[n % 32] + text
        n //= 32
    return "req_" + "a" * 16 + text


def request(n):
    # A third of all is one busy app's.
    name = app(0) if n % 3 == 0 else app(n * 7919 % apps)
    moment = at - (requests - n) * 50
    identity, subject = request_id(n), f"{n % 50_000:032x}"
    new = record | {"id": identity, "app": name, "at": moment, "subject": subject}
    return (identity, arm, moment, name, release, rollout, subject, json.dumps(new))


telemetry.executemany(
    "INSERT INTO requests (id, arm, at, app, release, rollout, subject, record)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    (request(n) for n in range(requests)),
)
telemetry.execute("COMMIT")
telemetry.close()
print(json.dumps({"busy": app(0), "quiet": app(apps - 1), "request": request_id(requests // 2)}))
