"""Files of every schema that state.db ever had open, keep their rows, and take new reports."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.reporting.samples import at, reportables
from venclient.reporting.layout import prepare
from venclient.reporting.rows import STATES, OutboxView
from venclient.reporting.sent import SentView
from venclient.reporting.state_rescue import open_state

FIXTURES = Path(__file__).parent / "fixtures"
SCHEMAS = sorted(FIXTURES.glob("state-*.sql"))


def made(folder: Path, schema: Path) -> Path:
    """Return a state file of an earlier version."""
    path = folder / "state.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(schema.read_text(encoding="utf-8"))
    return path


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_opens_with_all_its_rows(tmp_path: Path, schema: Path) -> None:
    """Nothing is quarantined: states, events and bookmarks are as they were, and reports can be sent."""
    path = made(tmp_path, schema)
    book, outbox, said = open_state(path, at(5))
    rows = outbox.of_event("E1")

    assert said == []
    assert [row.state for row in rows] == ["sent", "refused", "superseded", STATES[0]]
    assert rows[0].report_id == "R-0"
    assert list(book.events) == list(outbox.planned()) == ["E1"]
    outbox.sending(rows[3].key, at(5), resources=reportables("hotel"))
    outbox.sent(rows[3].key, "R-3", at(5))
    assert outbox.counts()["sent"] == 2
    assert SentView(outbox.view.db).attempts(rows[0].key) == []
    book.close()
    outbox.close()


@pytest.mark.parametrize("schema", SCHEMAS[1:], ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_can_be_read_as_it_is(tmp_path: Path, schema: Path) -> None:
    """Commands that only read show its reports, and no attempts, before the gateway has upgraded it."""
    view = OutboxView(made(tmp_path, schema))
    key = view.newest()[0].key

    assert SentView(view.db).attempts(key) == []
    assert list(SentView(view.db).held()) == []
    assert SentView(view.db).keys_like(key, 6) == []
    view.close()


def test_every_upgrade_ends_with_the_same_tables(tmp_path: Path) -> None:
    """Tables and indexes are those of a new file, column by column."""
    with closing(apsw.Connection(":memory:")) as fresh:
        prepare(fresh)
        wanted = shape(fresh)
    for schema in SCHEMAS:
        folder = tmp_path / schema.stem
        folder.mkdir()
        with closing(apsw.Connection(str(made(folder, schema)))) as db:
            prepare(db)
            found = shape(db)
        assert {name: found[name] for name in wanted} == wanted


def shape(db: apsw.Connection) -> dict[str, object]:
    """Return columns of tables and definitions of indexes, by name."""
    named = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        str(name): sql if kind == "index" else {row[1] for row in db.execute(f"PRAGMA table_info({name})")}
        for kind, name, sql in named
    }
