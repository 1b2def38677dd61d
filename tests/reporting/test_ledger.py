"""The coverage ledger: what each resource's days come to, also when the rows have gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest

from tests.reporting.samples import EACH, T0, at, event, reportables
from venclient.errors import StoreError
from venclient.reporting import ledger
from venclient.reporting.ledger import coverage
from venclient.reporting.obligations import owed
from venclient.reporting.outbox import Outbox
from venclient.reporting.rows import OutboxView
from venclient.sqlite_file import open_sqlite

ALL = owed(event(30, EACH), anchor=T0, first_seen=T0, after=None, until=at(99))
WHOLE = owed(event(30, {}, id_="E2"), anchor=T0, first_seen=T0, after=None, until=at(99))
DAY1, DAY2 = date(2026, 1, 1), date(2026, 1, 2)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """Return an outbox of thirty hourly reports on two resources: most were sent, some had gaps."""
    box = Outbox(tmp_path / "state.db")
    box.owe(ALL, at(0))
    two = reportables("hotel", "school")
    for number, one in enumerate(ALL[:28]):
        box.sending(one.key, one.due, resources=two)
        if number == 3:
            box.refused(one.key, "400", one.due)
        elif number == 5:
            box.unmet(one.key, "nothing is known", one.due)
        else:
            box.sent(one.key, f"R{number}", one.due, gaps={1: [0]} if number == 7 else {})
    yield box
    box.close()


def told(view: OutboxView) -> list[tuple[object, ...]]:
    """Return the ledger as plain tuples."""
    return [tuple(one) for one in coverage(view)]


EXPECTED = [
    (DAY1, "r1", 24, 22, 2, 0),
    (DAY1, "r2", 24, 21, 3, 0),
    (DAY2, "*", 2, 0, 0, 0),
    (DAY2, "r1", 4, 4, 0, 0),
    (DAY2, "r2", 4, 4, 0, 0),
]


def test_days_of_resources_are_counted(outbox: Outbox) -> None:
    """Owed, sent and missing are intervals by the day on which they begin; what waits is neither."""
    assert told(outbox.view) == EXPECTED
    assert [one.waiting for one in coverage(outbox.view, since=DAY2)] == [2, 0, 0]


def test_pruning_keeps_the_figures(outbox: Outbox) -> None:
    """Rows are pruned, even in parts, and the ledger shows the same as before."""
    outbox.prune(at(10))
    assert told(outbox.view) == EXPECTED
    outbox.prune(at(99))

    assert sum(outbox.counts().values()) == 2
    assert told(outbox.view) == EXPECTED


def test_pruning_is_all_or_nothing(outbox: Outbox) -> None:
    """A crash while pruning neither loses a day nor counts it twice."""

    def prune() -> None:
        outbox.prune(at(99))

    def power_cut() -> None:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        outbox.apply([prune, power_cut])

    assert told(outbox.view) == EXPECTED
    assert outbox.counts()["sent"] == 26


def test_ledger_forgets_after_its_own_time(outbox: Outbox) -> None:
    """Days before the ledger's limit go, years after the rows."""
    outbox.prune(at(99), coverage_before=at(24))

    assert [one[0] for one in told(outbox.view)] == [DAY2] * 3


def test_long_report_counts_on_each_of_its_days(outbox: Outbox) -> None:
    """A window over midnight belongs to both days, with its gaps where they are."""
    outbox.owe(WHOLE, at(0))
    outbox.sending(WHOLE[0].key, at(30), resources=reportables("pool"))
    outbox.sent(WHOLE[0].key, "R", at(30), gaps={0: [0, 1, 25]})
    outbox.prune(at(99))

    found = [one for one in told(outbox.view) if one[:2] in ((DAY1, "r1"), (DAY2, "r1"))]
    assert found == [(DAY1, "r1", 48, 44, 4, 0), (DAY2, "r1", 10, 9, 1, 0)]


def test_superseded_reports_were_never_owed(outbox: Outbox) -> None:
    """What an event no longer asks for is not missing."""
    outbox.drop_event("E1", "gone", at(30))

    assert told(outbox.view) == [one for one in EXPECTED if one[1] != "*"]


def test_file_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    """Rows of a file without parts and coverage are read, sent and counted as before."""
    path = tmp_path / "old.db"
    db = open_sqlite(path)
    db.execute(
        "CREATE TABLE outbox (key TEXT PRIMARY KEY, event_id TEXT NOT NULL, obligation BLOB NOT NULL, "
        "due INTEGER NOT NULL, not_before INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL "
        "DEFAULT 0, report_id TEXT, last_error TEXT, changed INTEGER NOT NULL) WITHOUT ROWID"
    )
    for one, state in zip(ALL[:2], ("sent", "owed"), strict=True):
        db.execute(
            "INSERT INTO outbox VALUES (?, 'E1', ?, ?, 0, ?, 1, NULL, NULL, ?)",
            (one.key, msgspec.json.encode(one), int(one.due.timestamp()) * 10**6, state, 1767229200 * 10**6),
        )
    db.close()
    with pytest.raises(StoreError, match="VEN-REP-070"):
        OutboxView(path)

    box = Outbox(path)
    assert [row.key for row in box.due(at(9))] == [ALL[1].key]
    assert told(box.view) == [(DAY1, "*", 2, 1, 0, 0)]
    assert box.view.reported() == ALL[0].end
    box.close()


def test_an_obligation_that_is_not_utf8_has_no_days() -> None:
    """Some versions of msgspec raise UnicodeDecodeError for it, others DecodeError."""
    assert ledger._days_of(b'{"spans": "\xff"}') == []
    assert ledger._days_of(b"\xff") == []
