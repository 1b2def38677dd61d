"""Marks of stored messages: what a broker sends again is known, and nothing new is taken for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.clock import ManualClock
from venclient.model.marks import mark_of, number_of
from venclient.model.reading import Reading
from venclient.readings.marks import MOST_EARLY, MOST_MARKS, Marks
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

T0 = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(0, 65_535), st.integers(0, 2**32 - 1))
def test_a_mark_fits_four_bytes_and_has_its_number(number: int, checksum: int) -> None:
    """Every mark is a signed number of 32 bits other than 0."""
    mark = mark_of(number, checksum)
    assert -(2**31) <= mark < 2**31
    assert mark
    assert number_of(mark) == number


def test_a_message_is_known_by_number_and_content() -> None:
    """Another number, content or resource is another message; two quantities of one message are one."""
    marks = Marks()
    marks.add([("r", mark_of(7, 1), 10), ("r", mark_of(7, 1), 10)])
    assert marks.has("r", mark_of(7, 1))
    assert not marks.has("r", mark_of(8, 1))
    assert not marks.has("r", mark_of(7, 2))
    assert not marks.has("s", mark_of(7, 1))


def test_a_new_session_makes_older_numbers_mean_nothing() -> None:
    """When a number comes again for another message, only what came since counts."""
    marks = Marks()
    marks.add(("r", mark_of(n, 1), n) for n in range(1, 200))
    marks.add([("r", mark_of(1, 1), 500)])
    assert marks.has("r", mark_of(1, 1))
    assert not marks.has("r", mark_of(2, 1))


def test_a_broker_that_uses_numbers_again_at_once_is_not_trusted() -> None:
    """The same number for message after message says nothing about the next one: none may be lost."""
    marks = Marks()
    marks.add(("r", mark_of(1, 1), n) for n in range(MOST_EARLY + 1))
    assert not marks.has("r", mark_of(1, 1))


def test_memory_is_bounded() -> None:
    """Only the newest thousands of messages are remembered, however many come."""
    marks = Marks()
    marks.add(("r", mark_of(n, 1), n) for n in range(3 * MOST_MARKS))
    assert not marks.has("r", mark_of(0, 1))
    assert marks.has("r", mark_of(3 * MOST_MARKS - 1, 1))


async def test_marks_survive_the_process(tmp_path: Path) -> None:
    """The next process knows the messages whose rows were committed, and only those."""
    path = tmp_path / "readings.db"
    store = SqliteReadings(path, ManualClock(T0))
    store.add([Reading("r", "power_kw", 1.0, T0, mark=mark_of(5, 9))])
    store.add([Reading("r", "power_kw", 1.0, T0 + timedelta(milliseconds=1))])
    assert not store.is_stored("r", mark_of(5, 9))
    await store.flush()
    assert store.is_stored("r", mark_of(5, 9))
    await store.close()
    again = SqliteReadings(path, ManualClock(T0))
    assert again.is_stored("r", mark_of(5, 9))
    assert not again.is_stored("r", mark_of(6, 9))
    await again.close()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_an_earlier_layout_gets_the_column(tmp_path: Path, version: int) -> None:
    """Its rows stay as they are, and have no marks."""
    import apsw

    from venclient.readings.layout import APPLICATION_ID, STEPS

    path = tmp_path / "readings.db"
    old = apsw.Connection(str(path))
    for step in range(1, version + 1):
        old.execute(STEPS[step])
    old.execute("INSERT INTO series(id, resource_id, quantity) VALUES(1, 'r', 'power_kw')")
    old.execute("INSERT INTO reading VALUES(?, 2.5, NULL)", (1_767_225_600_000 << 20 | 1,))
    old.execute(f"PRAGMA application_id={APPLICATION_ID}")
    old.execute(f"PRAGMA user_version={version}")
    old.close()
    tables = open_tables(path)
    assert [row.value for row in tables.rows(T0, T0 + timedelta(hours=1))] == [2.5]
    assert not tables.marks().has("r", mark_of(1, 1))
    tables.close()
