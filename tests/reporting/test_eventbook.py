"""The event book: what listings change, and what a restart still knows (rows 30, 38, 39)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.reporting.samples import at, event
from venclient.messages import code_of
from venclient.openadr.objects import Program
from venclient.reporting.eventbook import Changes, EventBook
from venclient.sqlite_file import open_sqlite

NOW_TEXT = "0001-01-01T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a state file."""
    return tmp_path / "state.db"


@pytest.fixture
def book(path: Path) -> Iterator[EventBook]:
    """Return an empty event book."""
    book = EventBook(path)
    yield book
    book.close()


def test_listing_creates_modifies_and_removes(book: EventBook) -> None:
    """A complete listing shows what is new, changed and gone; an equal one shows no change."""
    a, b = event(1, id_="A"), event(1, id_="B")
    a2 = event(1, id_="A", modificationDateTime="2026-01-01T09:00:00Z", priority=1)

    assert (a, b) == book.apply([a, b], complete=True, now=at(0)).created
    assert not book.apply([b, a], complete=True, now=at(1))
    assert Changes(modified=(a2,), gone=(b,)) == book.apply([a2], complete=True, now=at(2))
    assert {"A"} == set(book.events)
    assert at(0) == book.events["A"].first_seen


def test_row_39_incomplete_listing_makes_nothing_go(book: EventBook) -> None:
    """What a broken listing lacks has not gone; what it has is still taken over."""
    a, b = event(1, id_="A"), event(1, id_="B")
    book.apply([a], complete=True, now=at(0))
    changes = book.apply([b], complete=False, now=at(1))

    assert Changes(created=(b,)) == changes
    assert {"A", "B"} == set(book.events)
    assert at(0) == book.listed


def test_event_that_could_not_be_understood_has_not_gone(book: EventBook) -> None:
    """An object that is listed but refused keeps the event as last known."""
    book.apply([event(1, id_="A")], complete=True, now=at(0))

    assert not book.apply([], complete=True, now=at(1), also_listed={"A"})
    assert {"A"} == set(book.events)


def test_row_30_anchor_of_now_survives_a_restart(path: Path) -> None:
    """First receipt and anchor are those of the first process."""
    one = event(1, id_="A", start=NOW_TEXT)
    first = EventBook(path)
    first.apply([one], complete=True, now=at(1))

    again = EventBook(path)
    again.apply([one], complete=True, now=at(5))

    assert (at(1), at(1)) == (again.events["A"].first_seen, again.events["A"].anchor)
    first.close()
    again.close()


@pytest.mark.parametrize(("start", "anchor"), [(NOW_TEXT, 5), ("2026-01-01T00:00:00Z", 1)])
def test_row_30_modified_event_starts_now_anew(book: EventBook, start: str, anchor: int) -> None:
    """A new modificationDateTime renews what "now" means; events with a date keep their anchor."""
    book.apply([event(1, id_="A", start=start)], complete=True, now=at(1))
    book.apply(
        [event(1, id_="A", start=start, modificationDateTime="2026-01-01T04:00:00Z")],
        complete=True,
        now=at(5),
    )

    assert (at(1), at(anchor)) == (book.events["A"].first_seen, book.events["A"].anchor)


def test_content_alone_does_not_move_now(book: EventBook) -> None:
    """Another content under the same modificationDateTime is taken over, with the old anchor."""
    book.apply([event(1, id_="A", start=NOW_TEXT)], complete=True, now=at(1))
    changes = book.apply([event(2, id_="A", start=NOW_TEXT)], complete=True, now=at(5))

    assert len(changes.modified) == 1
    assert at(1) == book.events["A"].anchor


def test_programs_are_kept_over_a_restart(path: Path) -> None:
    """Programs are known again before the VTN is reached."""
    first = EventBook(path)
    one, two = Program(id="P1", program_name="x"), Program(id="P2", program_name="y")

    assert first.apply_programs([one, two], complete=True)
    assert not first.apply_programs([one, two], complete=True)
    assert not first.apply_programs([], complete=False)
    assert first.apply_programs([one], complete=True)
    first.close()
    again = EventBook(path)
    assert {"P1": one} == again.programs
    assert one == again.program_of(event(1))
    again.close()


def test_event_without_id_is_counted(book: EventBook) -> None:
    """An event without an id cannot be followed; it hides no other."""
    changes = book.apply([event(1, id_=""), event(1, id_="A")], complete=True, now=at(0))

    assert changes.nameless == 1
    assert {"A"} == set(book.events)


def test_row_that_cannot_be_read_is_named_and_fetched_anew(path: Path) -> None:
    """A damaged event is left out until it is listed again, and keeps when it was first seen."""
    first = EventBook(path)
    first.apply([event(1, id_="A"), event(1, id_="B")], complete=True, now=at(0))
    first.close()
    db = open_sqlite(path)
    db.execute("UPDATE events SET event = ? WHERE id = 'A'", (b"{",))
    db.close()

    again = EventBook(path)
    assert {"B"} == set(again.events)
    assert code_of(again.problems[0]) == "VEN-REP-063"
    assert "event A" in again.problems[0]
    again.apply([event(1, id_="A"), event(1, id_="B")], complete=True, now=at(7))
    assert at(0) == again.events["A"].first_seen
    again.close()


def test_equal_listing_writes_nothing(book: EventBook, path: Path) -> None:
    """Polling an unchanged VTN does not touch the card."""
    book.apply([event(1, id_="A")], complete=True, now=at(0))
    wal = path.with_name("state.db-wal")
    before = wal.stat().st_size
    for minute in range(20):
        book.apply([event(1, id_="A")], complete=True, now=at(minute / 60))

    assert before == wal.stat().st_size


REQUEST: dict[str, Any] = {"intervals": None, "start": "0001-01-01", "duration": "PT0H"}


def test_row_32_cancelling_is_a_change_of_a_known_event(path: Path) -> None:
    """An event that arrives without length is a request; one that loses its length is cancelled, for good."""
    book = EventBook(path)
    book.apply([event(0, {}, id_="A", **REQUEST), event(1, {}, id_="B")], complete=True, now=at(0))
    assert [book.events[id_].cancelled for id_ in "AB"] == [False, False]

    changed = [
        event(0, {}, id_="A", **REQUEST, priority=1),
        event(1, {}, id_="B", duration="PT0S", start="0001-01-01"),
    ]
    book.apply(changed, complete=True, now=at(1))
    assert [book.events[id_].cancelled for id_ in "AB"] == [False, True]
    book.apply([changed[0], event(0, {}, id_="B", **REQUEST)], complete=True, now=at(2))
    book.close()

    again = EventBook(path)
    assert [again.events[id_].cancelled for id_ in "AB"] == [False, True]
    again.apply([event(2, {}, id_="A"), event(2, {}, id_="B")], complete=True, now=at(3))
    assert [again.events[id_].cancelled for id_ in "AB"] == [False, False]
    again.apply([event(0, {}, id_="A", **REQUEST), event(2, {}, id_="B")], complete=True, now=at(4))
    assert [again.events[id_].cancelled for id_ in "AB"] == [True, False]
    again.close()


def test_row_32_a_request_of_an_earlier_version_arrives_again(path: Path) -> None:
    """There it was taken for cancelled: it is answered from now on, and a cancelled event is not."""
    with open_sqlite(path) as old:
        old.execute("CREATE TABLE events (id TEXT PRIMARY KEY, event BLOB, first_seen TEXT, anchor TEXT)")
        old.execute("CREATE TABLE planned (event_id TEXT PRIMARY KEY, until INTEGER, digest TEXT)")
        old.execute("INSERT INTO planned VALUES ('B', 0, '')")
        for id_ in "AB":
            one = msgspec.json.encode(event(0, {}, id_=id_, **REQUEST))
            old.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (id_, one, *[at(0).isoformat()] * 2))
    old.close()

    book = EventBook(path)
    assert {id_: known.cancelled for id_, known in book.events.items()} == {"B": True}
    book.close()


async def test_a_slow_disk_holds_up_only_the_listing_that_is_taken_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events and programs are written by a thread; they count once they are in the file."""
    begun, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    book = EventBook(path, threaded=True)
    change = book._change

    def slow() -> AbstractContextManager[None]:
        loop.call_soon_threadsafe(begun.set)
        goes_on.wait(30)
        return change()

    monkeypatch.setattr(book, "_change", slow)
    program = Program(id="P", program_name="Flex")
    for taking in (
        book.take([event(1, id_="A")], complete=True, now=at(0)),
        book.take_programs([program], complete=True),
    ):
        begun.clear()
        goes_on.clear()
        task = asyncio.ensure_future(taking)
        await begun.wait()
        known = len(book.events) + len(book.programs)
        goes_on.set()
        assert await task
        assert len(book.events) + len(book.programs) == known + 1
    book.close()
    again = EventBook(path)
    assert ({"A"}, {"P"}) == (set(again.events), set(again.programs))
    again.close()


async def test_a_cancelled_listing_is_written_to_its_end_before_the_file_is_closed(path: Path) -> None:
    """The end of the service cuts no commit off."""
    book = EventBook(path, threaded=True)
    task = asyncio.ensure_future(book.take([event(1, id_="A")], complete=True, now=at(0)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    book.close()
    again = EventBook(path)
    assert {"A"} == set(again.events)
    again.close()
