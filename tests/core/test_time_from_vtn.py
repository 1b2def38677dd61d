"""What the VTN says while the time of day is in doubt."""

from __future__ import annotations

from pathlib import Path

from tests.core.test_vtn_side import Site
from venclient.vtn_side import DOUBT_WAIT_S


async def test_events_are_not_taken_before_the_time_is_known(tmp_path: Path) -> None:
    """An event that starts now gets the right start; the VTN is asked often, as its answers have the time."""
    site = Site(tmp_path, "hotel")
    known: list[bool] = []
    site.side._time_is_known = lambda: bool(known)
    site.has("E1")
    async with site.following():
        await site.run(3 * DOUBT_WAIT_S)
        assert set(site.book.events) == set()
        assert len(site.vtn.calls("GET", "events")) >= 3
        assert site.side.state == "connected"

        known.append(True)
        await site.run(DOUBT_WAIT_S)
        assert set(site.book.events) == {"E1"}
        assert site.book.events["E1"].first_seen == site.book.listed
