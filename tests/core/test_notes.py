"""Notes: sentences with the time since when they hold, that go with their cause."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from venclient.clock import ManualClock
from venclient.messages import error
from venclient.notes import KEPT, Note, Notes

BROKEN = error("VEN-XXX-001", "{what} is broken", hint="repair it")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def notes(clock: ManualClock) -> Notes:
    return Notes(clock=clock)


async def test_a_failure_has_the_time_when_it_began(notes: Notes, clock: ManualClock) -> None:
    """A sentence that changes while its cause goes on keeps the time of its beginning."""
    began = clock.now()
    notes.begin("pump", BROKEN(what="pump"), cause="water")
    await clock.advance(60)
    notes.begin("pump", BROKEN(what="pump, again"), cause="water")
    assert notes.noted() == [Note(began, "pump, again is broken; repair it [VEN-XXX-001]")]


async def test_another_cause_has_its_own_time(notes: Notes, clock: ManualClock) -> None:
    """A failure of the same kind for another reason begins again."""
    notes.begin("pump", BROKEN(what="pump"), cause="water")
    await clock.advance(60)
    notes.begin("pump", BROKEN(what="fuse"), cause="power")
    assert [note.since for note in notes.noted()] == [clock.now()]


def test_a_sentence_goes_with_its_cause(notes: Notes) -> None:
    """What has ended is not shown any more."""
    notes.begin("pump", BROKEN(what="pump"))
    notes.end("pump")
    assert list(notes) == []


async def test_a_sentence_that_nothing_ends_is_kept_for_a_day(notes: Notes, clock: ManualClock) -> None:
    """Something that happened once is gone after a day; a failure that goes on is not."""
    notes.add("a fuse has blown")
    notes.begin("pump", BROKEN(what="pump"))
    await clock.advance(timedelta(hours=25).total_seconds())
    assert [note.sentence for note in notes.noted()] == ["pump is broken; repair it [VEN-XXX-001]"]


def test_single_sentences_do_not_push_failures_out(notes: Notes) -> None:
    """However much happens, what goes on is still shown."""
    notes.begin("pump", BROKEN(what="pump"))
    for number in range(3 * KEPT):
        notes.add(f"fuse {number} has blown")
    assert len(list(notes)) == KEPT
    assert next(iter(notes)).startswith("pump")


def test_bugs_of_one_type_are_one_cause(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    """The type of an unexpected error is its cause: the same one is logged once, another one again."""
    for bug in (ValueError("a"), ValueError("b"), KeyError("c")):
        notes.begin("pump", BROKEN(what=type(bug).__name__), bug=bug)
    assert len(caplog.records) == 2
    assert all(record.exc_info for record in caplog.records)


def test_a_group_holds_exactly_what_goes_on(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    """Causes that are not found any more end, others of the same name elsewhere stay."""
    caplog.set_level(logging.INFO)
    notes.begin("other", BROKEN(what="other"))
    notes.hold("pumps", {"1": BROKEN(what="pump 1"), "2": BROKEN(what="pump 2")})
    notes.hold("pumps", {"2": BROKEN(what="pump 2"), "3": BROKEN(what="pump 3")})
    assert [note.partition(" is")[0] for note in notes] == ["other", "pump 2", "pump 3"]
    assert len(caplog.records) == 4


def test_a_sentence_that_two_failures_share_stays_until_both_have_ended(notes: Notes) -> None:
    """The end of one of two failures with the same reason does not hide the other."""
    notes.show("held readings", "readings.db: disk full")
    notes.show("clock notes", "readings.db: disk full")
    notes.end("clock notes")
    assert list(notes) == ["readings.db: disk full"]
    notes.show("held readings", "readings.db: disk full")
    notes.show("held readings", "readings.db: read-only")
    assert list(notes) == ["readings.db: read-only"]
    notes.end("held readings")
    assert list(notes) == []
