"""Conditional listings: what has not changed is neither sent nor read again, and is followed all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn, SwiftClock, problem
from venclient.client import VenClient
from venclient.clock import ManualClock
from venclient.errors import VtnProblem
from venclient.model.reading import Measure
from venclient.openadr import codec
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Reporter, ReportOptions
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox


def events(count: int) -> list[dict[str, Any]]:
    return [{"id": f"E{n}", "programID": "P"} for n in range(count)]


@pytest.fixture
def vtn(clock: SwiftClock) -> FakeVtn:
    """Return a VTN that tags its listings."""
    return FakeVtn(clock, etags=True)


def statuses(vtn: FakeVtn) -> list[int]:
    """Return the answers to the listings of events, from here on."""
    answered: list[int] = []
    answer = vtn._listing

    def listing(request: httpx2.Request, listed: list[dict[str, Any]]) -> httpx2.Response:
        response = answer(request, listed)
        answered.append(response.status_code)
        return response

    vtn._listing = listing  # type: ignore[method-assign]  # listened to
    return answered


async def test_row_19_an_unchanged_listing_is_neither_sent_nor_read_again(
    vtn: FakeVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second poll gets 304 for each page, decodes nothing, and gives the same objects, complete."""
    vtn.collections["events"] = events(120)
    answered = statuses(vtn)
    async with vtn.client() as client:
        first = await client.events()
        monkeypatch.setattr(codec, "_list_decoder", None)
        second = await client.events()

    assert answered == [200] * 4 + [304] * 4
    assert second.complete
    assert second.ids == first.ids
    assert all(a is b for a, b in zip(first.items, second.items, strict=True))
    assert client.status.last_ok == vtn.clock.now()
    assert client.status.failures == 0


async def test_row_19_pages_are_remembered_for_each_query(vtn: FakeVtn) -> None:
    """The events of a program and those for targets have tags of their own; reports are not remembered."""
    vtn.collections["events"] = [*events(2), {"id": "X", "programID": "Q"}]
    vtn.collections["reports"] = [{"id": "R", "eventID": "E", "clientName": "c", "resources": []}]
    answered = statuses(vtn)
    async with vtn.client() as client:
        for _ in range(2):
            assert len((await client.events("Q")).items) == 1
            assert len((await client.events(targets=["t"])).items) == 3
            assert len((await client.reports()).items) == 1

    assert answered == [200] * 8 + [304] * 6 + [200] * 2


async def test_a_changed_page_is_read_again_and_the_others_are_not(vtn: FakeVtn) -> None:
    """Of three pages the first alone has changed."""
    held = vtn.collections["events"] = events(120)
    answered = statuses(vtn)
    async with vtn.client() as client:
        await client.events()
        held[3]["eventName"] = "renamed"
        listing = await client.events()

    assert answered[4:] == [200, 304, 304, 304]
    assert listing.complete
    assert listing.items[3].event_name == "renamed"


async def test_row_19_a_change_behind_pages_taken_as_unchanged_is_confirmed(vtn: FakeVtn) -> None:
    """When a later page has changed, the ones before it are asked for once more before all is believed."""
    held = vtn.collections["events"] = events(120)
    answered = statuses(vtn)
    async with vtn.client() as client:
        await client.events()
        held[110]["eventName"] = "renamed"
        listing = await client.events()

    assert answered[4:] == [304, 304, 200, 304] + [304] * 4
    assert listing.complete


async def test_row_39_a_listing_is_believed_when_all_pages_agree(vtn: FakeVtn) -> None:
    """An insertion between a 304 and the next page starts the listing again, which is then complete."""
    held = vtn.collections["events"] = events(120)
    async with vtn.client() as client:
        await client.events()
        turned: list[bool] = []

        def before(request: httpx2.Request) -> None:
            if request.url.params["skip"] != "0" and not turned:
                turned.append(True)
                held.insert(0, {"id": "new", "programID": "P"})

        vtn.before = before
        listing = await client.events()

    assert listing.complete
    assert listing.ids == {one["id"] for one in held}


async def test_row_39_a_failed_page_after_unchanged_ones_gives_no_listing(vtn: FakeVtn) -> None:
    """304, 304, 500 is not a listing."""
    vtn.collections["events"] = events(120)
    async with vtn.client(retries=0) as client:
        await client.events()
        vtn.faults = [None, None, problem(500)]
        with pytest.raises(VtnProblem):
            await client.events()


async def test_row_39_a_missing_object_is_looked_for_once_more(vtn: FakeVtn) -> None:
    """One that is gone from a listing of several pages is believed gone on the second reading."""
    held = vtn.collections["events"] = events(120)
    answered = statuses(vtn)
    async with vtn.client() as client:
        await client.events()
        del held[119]
        listing = await client.events()

    assert listing.complete
    assert "E119" not in listing.ids
    assert answered[4:] == [304, 304, 200, 200] + [304] * 4


async def test_a_304_that_nobody_asked_for_is_an_error(vtn: FakeVtn) -> None:
    """Without a page in hand, "not modified" says nothing."""
    vtn.faults = [httpx2.Response(304)]
    async with vtn.client() as client:
        with pytest.raises(VtnProblem, match="304"):
            await client.events()


async def test_a_vtn_that_stops_tagging_is_read_in_full(vtn: FakeVtn) -> None:
    """A tag is forgotten with the page that has none."""
    vtn.collections["events"] = events(2)
    async with vtn.client() as client:
        await client.events()
        vtn.etags = False
        await client.events()
        await client.events()

    assert ["If-None-Match" in r.headers for r in vtn.calls("GET", "events")][::2] == [
        False,
        True,
        False,
    ]


# ---- a month


async def steady(
    resource_ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
) -> Mapping[tuple[str, datetime, datetime], Measure]:
    """Measure 2 kW of every resource."""
    from tests.reporting.samples import measured

    return {(id_, a, b): measured(id_, a, b, 2.0) for id_ in resource_ids for a, b in grid}


DAYS = 35


class Gateway:
    """Client, event book and reporter on one clock, as the gateway joins them."""

    def __init__(self, folder: Path, vtn: FakeVtn, clock: ManualClock, client: VenClient) -> None:
        self.clock = clock
        self.client = client
        self.book = EventBook(folder / "state.db")
        self.outbox = Outbox(folder / "state.db")
        options = ReportOptions(client_name="gw")
        self.reporter = Reporter(
            self.outbox, self.book, client, steady, [Reportable("main", "main")], clock, options
        )

    async def poll(self) -> None:
        listing = await self.client.events()
        self.book.apply(listing.items, complete=listing.complete, now=self.clock.now())

    async def report(self) -> None:
        while (await self.reporter.step()).sent:
            pass

    def close(self) -> None:
        self.outbox.close()
        self.book.close()


@pytest.mark.parametrize("restart_on", [None, 20])
async def test_row_51_a_looping_tariff_is_followed_after_a_month_of_304s(
    tmp_path: Path, restart_on: int | None
) -> None:
    """A tariff that repeats daily and never changes goes on owing a report a day, and each day once."""
    clock = ManualClock(datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
    vtn = FakeVtn(clock, etags=True)
    vtn.collections["events"] = [
        {
            "id": "tariff",
            "programID": "P",
            "duration": "P9999Y",
            "intervalPeriod": {"start": "2026-01-01T00:00:00Z", "duration": "PT6H"},
            "reportDescriptors": [
                {"payloadType": "USAGE", "startInterval": 3, "numIntervals": 4, "frequency": 4, "repeat": -1}
            ],
            "intervals": [
                {"id": n, "payloads": [{"type": "PRICE", "values": [price]}]}
                for n, price in enumerate((0.1, 0.2, 0.4, 0.3))
            ],
        }
    ]
    answered = statuses(vtn)
    gateway: Gateway | None = None
    for day in range(DAYS):
        if gateway is None or day == restart_on:
            if gateway is not None:
                gateway.close()
            client = vtn.client()
            await client.__aenter__()
            gateway = Gateway(tmp_path, vtn, clock, client)
        for _ in range(4):
            await gateway.poll()
            await gateway.report()
            await clock.advance(6 * 3600, settle=2)
    assert gateway is not None
    await clock.advance(60, settle=2)
    await gateway.poll()
    await gateway.report()
    next_due = gateway.reporter.next_due()
    gateway.close()

    # Each listing is a page and the look behind it. A restart reads the events again, and asks for the report
    # that was due before it. Each process looks once whether another gateway sends reports of its names.
    processes = 1 if restart_on is None else 2
    assert answered.count(200) == 2 * ((1 if restart_on is None else 3) + processes)
    assert answered.count(304) == 2 * (DAYS * 4 + 2 * processes) - answered.count(200)
    reports = vtn.collections["reports"]
    starts = [one["resources"][0]["intervalPeriod"]["start"] for one in reports]
    first = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    assert [datetime.fromisoformat(start) for start in starts] == [
        first + timedelta(days=day) for day in range(DAYS)
    ]
    assert next_due is not None
    assert next_due > clock.now()
