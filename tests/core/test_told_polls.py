"""Polls that notifications ask for: the first at once, a storm bounded, none lost while one runs."""

from __future__ import annotations

from pathlib import Path

import httpx2

from tests.client.fake_vtn import problem
from tests.core.test_vtn_side import Site


def polls(site: Site) -> int:
    """Return how often events were listed."""
    return len(site.vtn.calls("GET", "events"))


async def test_a_notification_after_a_quiet_time_asks_at_once(tmp_path: Path) -> None:
    """No time passes between notification and polling; nor for two that follow at once."""
    site = Site(tmp_path)
    async with site.following():
        await site.run(10)
        before = polls(site)
        for n in range(1, 4):
            site.side.wake.set()
            await site.run(0)
            assert polls(site) == before + n


async def test_a_storm_of_notifications_asks_once_a_second(tmp_path: Path) -> None:
    """Many notifications in half a minute are some thirty polls, and the last one is heard."""
    site = Site(tmp_path)
    async with site.following():
        await site.run(10)
        before = polls(site)
        for _ in range(150):
            site.side.wake.set()
            await site.run(0.2)
        assert 25 <= polls(site) - before <= 34
        seen = polls(site)
        site.side.wake.set()
        await site.run(1.1)
        assert polls(site) > seen


async def test_an_event_that_comes_while_a_poll_runs_is_polled_for_again(tmp_path: Path) -> None:
    """A change notified during a poll may be missing in its answer: so another one follows."""
    site = Site(tmp_path)
    site.has("E1")
    notified: list[str] = []

    def meanwhile(request: httpx2.Request) -> httpx2.Response:
        answer = site.vtn._collection(request, "events")
        if not notified:
            notified.append("E2")
            site.has("E1", "E2")
            site.side.wake.set()
        return answer

    async with site.following():
        await site.run(10)
        site.vtn.handlers["GET", "events"] = meanwhile
        site.side.wake.set()
        await site.run(1)
        assert set(site.book.events) == {"E1", "E2"}


async def test_notifications_do_not_hammer_a_vtn_that_fails(tmp_path: Path) -> None:
    """Its broker may be up while its API answers 503: a few polls a minute, not one a second."""
    site = Site(tmp_path)
    async with site.following():
        await site.run(10)
        site.vtn.handlers["GET", "events"] = lambda _: problem(503)
        before = polls(site)
        for _ in range(240):
            site.side.wake.set()
            await site.run(0.5)
        assert 5 <= polls(site) - before <= 24


async def test_push_begins_anew_when_the_vtn_gave_our_ven_another_id(tmp_path: Path) -> None:
    """The topics of a deleted VEN are silent: the channel is opened again with the registration."""

    class Channel:
        working = True
        anew = 0

        def begin_anew(self) -> None:
            self.anew += 1

        def check_again(self) -> None:
            """Do nothing."""

    site = Site(tmp_path)
    push = Channel()
    site.side.push = push  # type: ignore[assignment]
    site.side._settings.values["vtn.push_poll_s"] = 600.0  # type: ignore[index]
    async with site.following():
        assert push.anew == 0
        site.vtn.collections["vens"].clear()
        site.vtn.collections["vens"].append({"id": "V9", "venName": "ven"})
        await site.run(4300)
        assert push.anew == 1
        assert site.side.ven is not None
        assert site.side.ven.id == "V9"
