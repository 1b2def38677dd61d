"""The tables of the outbox: their words in SQL, and how files of earlier versions become such.

outbox           one row per report; a large obligation's parts have a row each, with the same `owed_key`
resource_sets    which resources a report is about; the windows of an event share a few such sets
late             time that readings came for after it was reported, by resource, until rows are marked
doubt            until when reports may have been sent that the file does not know of (`state_rescue.py`)
planned          per event: up to when everything that falls due is in the outbox
coverage         per day and resource, what became of rows that are pruned (`ledger.py`)
sent             every attempt to send a report, with its body (`sent.py`)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw
import msgspec

from venclient.reporting.obligations import Obligation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_DAY_US = 86_400_000_000

_TABLES = """
CREATE TABLE IF NOT EXISTS outbox (
    key TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    obligation BLOB NOT NULL,              -- JSON
    due INTEGER NOT NULL,                  -- this and the times below: microseconds since 1970, UTC
    not_before INTEGER NOT NULL,           -- never before `due`
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    report_id TEXT,
    last_error TEXT,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS planned (
    event_id TEXT PRIMARY KEY,
    until INTEGER NOT NULL,                -- everything due up to here is in the outbox
    digest TEXT NOT NULL                   -- of the event as it was then
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resource_sets (id INTEGER PRIMARY KEY, content BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS late (
    resource_id TEXT PRIMARY KEY,
    start INTEGER NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS doubt (until INTEGER NOT NULL);   -- reports due before may have been sent
CREATE TABLE IF NOT EXISTS coverage_names (id INTEGER PRIMARY KEY, resource_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS coverage (
    day INTEGER NOT NULL,                  -- days since 1970, UTC
    resource INTEGER NOT NULL,
    owed INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    PRIMARY KEY (day, resource)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,                     -- the report's name
    at INTEGER NOT NULL,                   -- when its answer was there
    attempt INTEGER NOT NULL,
    verb TEXT NOT NULL,                    -- POST, PUT, or GET: found at the VTN
    taken INTEGER NOT NULL,                -- whether the VTN has this body
    status INTEGER,                        -- of its answer
    answer TEXT,
    event_id TEXT NOT NULL,
    start INTEGER NOT NULL,
    until INTEGER NOT NULL,
    report_id TEXT,
    resources INTEGER,                     -- a resource set
    same INTEGER,                          -- the row that has the same body
    body BLOB,                             -- `sent_codec.py`
    total INTEGER NOT NULL                 -- bytes of this row and all before it
);
CREATE INDEX IF NOT EXISTS sent_key ON sent (key, id);
"""

#: What the first version of `outbox` lacked.
_LATER = {
    "owed_key": "TEXT NOT NULL DEFAULT ''",  # the obligation that the row is a part of
    "part": "INTEGER NOT NULL DEFAULT 0",
    "start": "INTEGER NOT NULL DEFAULT 0",  # of its window
    "until": "INTEGER NOT NULL DEFAULT 0",
    "spans": "INTEGER NOT NULL DEFAULT 0",  # how many intervals it has
    "since": "INTEGER NOT NULL DEFAULT 0",  # when it became pending
    "resources": "INTEGER",  # a resource set; NULL while it is not known which
    "sent_at": "INTEGER",  # for the first time
    "digest": "BLOB",  # of the body that the VTN has
    "gaps": "TEXT",  # JSON: position in the set -> hexadecimal bits of the intervals without a value
    "late": "BLOB",  # bits of the positions whose late readings are not sent yet
    "putting": "INTEGER NOT NULL DEFAULT 0",  # a corrected body is on its way, or may have arrived
    "corrections": "INTEGER NOT NULL DEFAULT 0",
    "corrected": "BLOB",  # bits of the positions that corrections were about
    "story": "TEXT",  # JSON: [[time, what happened], ...]
}

_INDEXES = """
DROP INDEX IF EXISTS outbox_waiting;
DROP INDEX IF EXISTS outbox_changed;
CREATE INDEX IF NOT EXISTS outbox_line ON outbox (due, owed_key, part) WHERE state IN ('owed', 'sending');
CREATE INDEX IF NOT EXISTS outbox_attempt ON outbox (not_before) WHERE state IN ('owed', 'sending');
CREATE INDEX IF NOT EXISTS outbox_untold ON outbox (due) WHERE state = 'owed' AND resources IS NULL;
CREATE INDEX IF NOT EXISTS outbox_late ON outbox (not_before) WHERE late IS NOT NULL AND state = 'sent';
CREATE INDEX IF NOT EXISTS outbox_parts ON outbox (owed_key) WHERE part > 0;
CREATE INDEX IF NOT EXISTS outbox_event ON outbox (event_id);
CREATE INDEX IF NOT EXISTS outbox_state ON outbox (state, changed);
"""


#: A longer story loses its middle: its beginning and its end matter most.
_STORY = 24
_KEPT_FIRST = 8
_LONGEST_TOLD = 300

#: Adds to a row's story; its values are those of `story_entry`.
TOLD = (
    f"story = CASE WHEN json_array_length(coalesce(story, '[]')) >= {_STORY} "
    f"THEN json_insert(json_remove(story, '$[{_KEPT_FIRST}]'), '$[#]', json_array(?, ?)) "
    "ELSE json_insert(coalesce(story, '[]'), '$[#]', json_array(?, ?)) END"
)


def story_entry(now: datetime, what: str) -> tuple[int, str, int, str]:
    """Return an entry of a row's story as the statement takes it."""
    short = what if len(what) <= _LONGEST_TOLD else what[: _LONGEST_TOLD - 3] + "..."
    return us(now), short, us(now), short


def encoded_gaps(gaps: Mapping[int, Sequence[int]]) -> str | None:
    """Return gaps as their column holds them: by the resource's place, the places of its intervals."""
    found = {str(place): bits(missing).hex() for place, missing in gaps.items() if missing}
    return msgspec.json.encode(found).decode() if found else None


def us(moment: datetime) -> int:
    """Return a time as the tables hold it."""
    return (moment - _EPOCH) // _US


def moment(us_: int) -> datetime:
    """Return a time of the tables."""
    return _EPOCH + us_ * _US


def day(us_: int) -> int:
    """Return the UTC day of a time of the tables, in days since 1970."""
    return us_ // _DAY_US


def bits(positions: Iterable[int]) -> bytes:
    """Return positions as bits, the first in the lowest."""
    number = 0
    for position in positions:
        number |= 1 << position
    return number.to_bytes(-(-number.bit_length() // 8), "little")


def positions(raw: bytes | None) -> list[int]:
    """Return the positions of the bits that are set."""
    number = int.from_bytes(raw or b"", "little")
    return [index for index in range(number.bit_length()) if number >> index & 1]


def prepare(db: apsw.Connection) -> None:
    """Make the tables, or add what those of an earlier version lack; apsw.Error when that fails."""
    db.execute(_TABLES)
    known = {row[1] for row in db.execute("PRAGMA table_info(outbox)")}
    fresh = [name for name in _LATER if name not in known]
    for name in fresh:
        db.execute(f"ALTER TABLE outbox ADD COLUMN {name} {_LATER[name]}")
    if fresh:
        _fill(db)
    db.execute(_INDEXES)


def _fill(db: apsw.Connection) -> None:
    """Set the window of rows of an earlier version from their obligations; bad ones are found later."""
    found: list[tuple[Any, ...]]
    found = db.execute("SELECT key, obligation FROM outbox WHERE owed_key = ''").fetchall()
    for key, raw in found:
        try:
            obligation = msgspec.json.decode(raw, type=Obligation)
            window = us(obligation.start), us(obligation.end), len(obligation.spans)
        except (msgspec.MsgspecError, ValueError):
            window = 0, 0, 0
        db.execute(
            "UPDATE outbox SET owed_key = key, start = ?, until = ?, spans = ?, since = due, "
            "not_before = max(due, not_before), "
            "sent_at = CASE state WHEN 'sent' THEN changed END WHERE key = ?",
            (*window, key),
        )
