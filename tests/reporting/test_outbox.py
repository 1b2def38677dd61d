"""The outbox remembers: states, order, crashes (rows 60 to 62 in small)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.reporting.samples import EACH, HOUR, T0, at, event
from venclient.errors import StoreError
from venclient.reporting.obligations import Obligation, owed
from venclient.reporting.outbox import Bookmark, Outbox
from venclient.sqlite_file import open_sqlite

ALL = owed(event(4, EACH), anchor=T0, first_seen=T0 - HOUR, after=None, until=at(99))


class PowerCutError(Exception):
    """Ends a program in the middle of its work."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a state file."""
    return tmp_path / "state.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    """Return an outbox with four pending hourly reports."""
    box = Outbox(path)
    box.owe(ALL, at(0))
    yield box
    box.close()


def keys(*obligations: Obligation) -> list[str]:
    """Return the keys."""
    return [one.key for one in obligations]


def test_owing_again_changes_nothing(outbox: Outbox) -> None:
    """A report that is pending already, or was sent, is not added again."""
    outbox.sending(ALL[0].key, at(1))
    outbox.sent(ALL[0].key, "R", at(1))

    assert outbox.owe(ALL, at(2)) == 0
    assert {state: n for state, n in outbox.counts().items() if n} == {"owed": 3, "sent": 1}


def test_due_gives_the_oldest_first_and_nothing_early(outbox: Outbox) -> None:
    """Only what is due comes, in order of due time, within the limit."""
    assert keys(*ALL[:2]) == [row.key for row in outbox.due(at(2))]
    assert keys(ALL[0]) == [row.key for row in outbox.due(at(2), limit=1)]
    assert outbox.due(at(0.5)) == []
    assert ALL[0] == outbox.due(at(1))[0].obligation


def test_due_gives_no_more_intervals_than_fit_into_memory(path: Path) -> None:
    """Of rows with many intervals fewer come at once, in order, and one in any case."""
    (wide,) = owed(event(50, {}), anchor=T0, first_seen=T0 - HOUR, after=None, until=at(99))
    box = Outbox(path)
    box.owe([*ALL, wide], at(0))

    assert [row.key for row in box.due(at(99), most_spans=3)] == keys(*ALL[:3])
    assert [row.key for row in box.due(at(99), newest_first=True, most_spans=3)] == [wide.key]
    assert len(box.due(at(99), most_spans=54)) == 5
    assert len(box.untold(9, most_spans=2)) == 2
    box.close()


def test_all_that_is_about_to_be_sent_is_noted(outbox: Outbox) -> None:
    """Rows marked together are each `sending`, once more attempted, and asked for later at the earliest."""
    outbox.all_sending(keys(*ALL[:2]), at(2), ask_at=at(3))

    rows = outbox.of_event("E1")
    assert [(row.state, row.attempts) for row in rows] == [("sending", 1)] * 2 + [("owed", 0)] * 2
    assert outbox.due(at(2)) == []
    assert [entry.what for entry in outbox.view.story(ALL[0].key)][-1] == "to be sent"


def test_row_put_off_waits_for_its_time(outbox: Outbox) -> None:
    """A failed attempt is counted, its reason kept, and not tried before its time."""
    outbox.sending(ALL[0].key, at(1))
    outbox.retry_later(ALL[0].key, "no answer", at(3), at(1), ambiguous=False)

    assert outbox.due(at(1.5)) == []
    row = outbox.due(at(3))[0]
    assert (row.state, row.attempts, row.last_error) == ("owed", 1, "no answer")
    assert at(2) == outbox.next_attempt()


def test_ambiguous_failure_leaves_the_row_sending(outbox: Outbox) -> None:
    """When the VTN may have the report the row says so."""
    outbox.sending(ALL[0].key, at(1))
    outbox.retry_later(ALL[0].key, "cut", at(1), at(1), ambiguous=True)

    assert outbox.due(at(1))[0].state == "sending"


@pytest.mark.parametrize("state", ["owed", "sending", "sent", "refused", "superseded", "unmet"])
def test_row_61_every_state_survives_a_crash(path: Path, state: str) -> None:
    """A file that was never closed is read back as it was, by the next process."""
    box = Outbox(path)
    box.owe(ALL[:1], at(0), planned={"E1": Bookmark(at(1), "d")})
    key = ALL[0].key
    if state != "owed":
        box.sending(key, at(1))
    if state in ("sent", "refused", "superseded", "unmet"):
        getattr(box, state)(key, "R-or-reason", at(2))

    again = Outbox(path)
    row = again.get(key)

    assert row is not None
    assert state == row.state
    assert ALL[0] == row.obligation
    assert {"E1": Bookmark(at(1), "d")} == again.planned()
    assert (state in ("owed", "sending")) == bool(again.due(at(5)))
    box.close()
    again.close()


def test_refused_stays_in_the_list_with_its_reason(outbox: Outbox) -> None:
    """What the VTN refused can be looked up, newest first."""
    outbox.sent(ALL[1].key, "R1", at(2))
    outbox.refused(ALL[0].key, "400: units", at(3))

    assert keys(ALL[0], ALL[1]) == [row.key for row in outbox.newest(2)]
    assert [row.last_error for row in outbox.newest(state="refused")] == ["400: units"]


def test_row_39_gone_event_takes_its_waiting_rows_along(outbox: Outbox) -> None:
    """Dropping an event supersedes what waits, leaves what was sent, and forgets the bookmark."""
    other = owed(event(1, {}, id_="E2"), anchor=T0, first_seen=T0, after=None, until=at(9))
    outbox.owe(other, at(0), planned={"E1": Bookmark(at(1), "d"), "E2": Bookmark(at(1), "d")})
    outbox.sent(ALL[0].key, "R", at(1))

    assert outbox.drop_event("E1", "gone", at(2)) == 3
    assert [other[0].key] == [row.key for row in outbox.due(at(9))]
    assert {"E2"} == set(outbox.planned())
    assert outbox.counts()["sent"] == 1


def test_event_that_comes_back_is_owed_again(outbox: Outbox) -> None:
    """Superseded rows are revived when their event is back; sent ones are not sent again."""
    outbox.sent(ALL[0].key, "R", at(1))
    outbox.drop_event("E1", "gone", at(2))

    assert outbox.owe(ALL, at(3)) == 3
    assert {state: n for state, n in outbox.counts().items() if n} == {"owed": 3, "sent": 1}


def test_old_rows_are_forgotten_but_never_what_is_owed(outbox: Outbox) -> None:
    """Pruning removes only rows that are done with."""
    outbox.sent(ALL[0].key, "R", at(1))

    assert outbox.prune(at(1)) == 0
    assert outbox.prune(at(100)) == 1
    assert outbox.counts()["owed"] == 3


def test_owing_is_all_or_nothing(outbox: Outbox) -> None:
    """A failure in the middle writes neither rows nor the bookmark."""
    later = owed(event(4, EACH, id_="E2"), anchor=T0, first_seen=T0, after=None, until=at(99))

    def failing() -> Iterator[Obligation]:
        yield later[0]
        raise PowerCutError

    with pytest.raises(PowerCutError):
        outbox.owe(failing(), at(0), planned={"E2": Bookmark(at(1), "d")})

    assert outbox.of_event("E2") == []
    assert outbox.planned() == {}


def test_row_that_cannot_be_read_stops_nothing(outbox: Outbox, path: Path) -> None:
    """A damaged row is marked refused and named; the others are sent."""
    db = open_sqlite(path)
    db.execute("UPDATE outbox SET obligation = ? WHERE key = ?", (b"{", ALL[0].key))
    db.close()

    assert keys(ALL[1]) == [row.key for row in outbox.due(at(2))]
    assert ALL[0].key in outbox.problems[0]
    assert outbox.counts()["refused"] == 1


def test_unknown_key_is_an_error(outbox: Outbox) -> None:
    """Only rows that exist change."""
    with pytest.raises(StoreError, match="VEN-REP-065"):
        outbox.sent("nobody", "R", at(1))


def test_file_of_another_kind_is_named(tmp_path: Path) -> None:
    """A file that is not a database is refused with its name."""
    bad = tmp_path / "state.db"
    bad.write_bytes(b"not a database at all" * 100)

    with pytest.raises(StoreError, match=r"state\.db"):
        Outbox(bad)


def test_times_keep_their_microseconds(path: Path) -> None:
    """Due times come back exactly."""
    odd = at(1) + timedelta(microseconds=123457)
    one = owed(event(1, {}), anchor=T0, first_seen=odd, after=None, until=odd)
    box = Outbox(path)
    box.owe(one, at(0))

    assert [odd] == [row.due for row in box.due(odd)]
    box.close()
