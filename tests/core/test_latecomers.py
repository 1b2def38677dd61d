"""Late readings are reported to the reporters before they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from venclient.errors import StoreError
from venclient.model.reading import Reading
from venclient.notes import Notes
from venclient.vtn_link import Latecomers, VtnLink

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Hearing:
    """A link whose reporter remembers what it heard."""

    def __init__(self, reported: datetime | None, error: StoreError | None = None) -> None:
        self.name = ""
        self.reporter = self
        self.reported = reported
        self.heard: list[Mapping[str, Any]] = []
        self.error = error

    async def late(self, late: Mapping[str, Any]) -> None:
        self.heard.append(late)
        if self.error is not None:
            raise self.error


def latecomers(notes: Notes, *links: Hearing) -> Latecomers:
    """Return the latecomers of links."""
    return Latecomers(cast("Sequence[VtnLink]", links), lambda _: [], notes)


def reading(minutes: int) -> Reading:
    """Return a reading `minutes` after noon."""
    return Reading("r1", "power_kw", 1.0, NOON + timedelta(minutes=minutes))


async def test_every_vtn_hears_of_what_came_late() -> None:
    """A reading of reported time reaches each link; one of newer time none."""
    links = Hearing(NOON), Hearing(None)
    late = latecomers(Notes(), *links)

    await late.hear([reading(1)])
    assert [link.heard for link in links] == [[], []]
    await late.hear([reading(-30)])
    assert [list(heard) for link in links for heard in link.heard] == [["r1"], ["r1"]]


async def test_readings_are_stored_even_when_late_ones_cannot_be_noted() -> None:
    """A state file that fails costs a correction, said once, and no reading."""
    notes = Notes()
    late = latecomers(notes, Hearing(NOON, StoreError("disk full")))

    await late.hear([reading(-30)])

    assert [("disk full" in note, "VEN-GWY-063" in note) for note in notes] == [(True, True)]
