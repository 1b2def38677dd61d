"""Both versions over HTTP, against a VTN that shares no code with the client: found out, spoken, followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from venclient.client import Progress, VenClient, VtnAccount, Wanted, difference, ensure_ven, reconcile
from venclient.clock import SystemClock
from venclient.openadr.objects import (
    Interval,
    IntervalPeriod,
    Report,
    ReportPayloadDescriptor,
    ReportResource,
    ValuesMap,
)
from venclient.simulation.vtn import Fault, LocalVtn

pytestmark = pytest.mark.peer

SECRET = "s3cret"
OURS = {"AREA"}
#: A large aggregator's VEN, and after how many the VTN begins to cut connections.
FLEET, BROKEN_OFF_AFTER = 5000, 2400
Version = Literal["3.1", "3.0.1"]
VERSIONS: tuple[Version, ...] = ("3.1", "3.0.1")


@asynccontextmanager
async def conversation(
    version: Version, retries: int = 3, **options: Any
) -> AsyncIterator[tuple[LocalVtn, VenClient]]:
    clients = [{"id": "ven-1", "secret": SECRET, "role": "ven"}]
    async with LocalVtn(clients=clients, version=version, **options) as vtn:
        account = VtnAccount(
            url=vtn.url,
            client_id="ven-1",
            client_secret=SECRET,
            allow_http=True,
            version="probe",
            retries=retries,
        )
        async with VenClient(account, SystemClock()) as client:
            yield vtn, client


def area(value: float) -> ValuesMap:
    return ValuesMap(type="AREA", values=[value])


def report(value: float) -> Report:
    """Return a report on the event E."""
    return Report(
        event_id="E",
        client_name="ven-1",
        report_name="E-usage",
        payload_descriptors=[ReportPayloadDescriptor(payload_type="USAGE", units="KWH")],
        resources=[
            ReportResource(
                resource_name="main",
                interval_period=IntervalPeriod(start="2026-01-01T00:00:00Z", duration="PT1H"),
                intervals=[Interval(id=0, payloads=[ValuesMap(type="USAGE", values=[value])])],
            )
        ],
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("base_path", ["", None], ids=["plain address", "address with version"])
async def test_row_71_the_version_is_found_out(version: Version, base_path: str | None) -> None:
    """With or without a version in the address, each VTN is taken for what it is."""
    async with conversation(version, base_path=base_path) as (_, client):
        assert (await client.dialect()).version == version


@pytest.mark.parametrize("version", VERSIONS)
async def test_row_71_a_ven_registers_follows_and_reports_in_either_version(version: Version) -> None:
    """VEN, resource, program, event and a corrected report look the same to the gateway in both."""
    async with conversation(version) as (vtn, client):
        vtn.add_program({"programName": "tou"}, object_id="P")
        vtn.add_event(
            {
                "programID": "P",
                "intervalPeriod": {"start": "2026-01-01T00:00:00Z", "duration": "PT1H"},
                "reportDescriptors": [{"payloadType": "USAGE", "units": "KWH"}],
                "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}],
            },
            object_id="E",
        )
        ven = await ensure_ven(client, "gw")
        assert ven.id is not None
        for size in (1.0, 2.0, 2.0):
            listed = (await client.resources(ven.id)).items
            what = difference([Wanted("main", (area(size),))], listed, ours=OURS, ven_id=ven.id)
            await reconcile(client, ven.id, what)
        vtn.grant(vtn.resources[0]["id"], "roof")
        resource = (await client.resources(ven.id)).items[0]
        resource = await client.update_resource(resource.id or "", ven.id, "main", [area(3.0)])
        (event,) = (await client.events()).items
        stored = await client.create_report(report(10))
        await client.update_report(stored.id or "", report(11.5))
        (kept,) = (await client.reports("E", "ven-1")).items

    assert resource.targets == ["roof"]
    assert vtn.resources[0]["attributes"] == [{"type": "AREA", "values": [3.0]}]
    assert event.intervals is not None
    assert event.intervals[0].payloads == [ValuesMap(type="PRICE", values=[0.17])]
    assert kept.resources[0].intervals[0].payloads[0].values == [11.5]
    assert len(vtn.reports) == 1


async def test_row_19_unchanged_pages_cross_the_wire_once() -> None:
    """A listing of three pages that has not changed is answered with 304, page by page, and behind them."""
    async with conversation("3.1") as (vtn, client):
        vtn.add_program({"programName": "tou"}, object_id="P")
        for n in range(120):
            vtn.add_event({"programID": "P", "eventName": f"e{n}"})
        first = await client.events()
        before = len(vtn.exchanges)
        second = await client.events()
        statuses = [one.status for one in vtn.exchanges[before:]]
        vtn.change_event(first.items[110].id or "", eventName="renamed")
        third = await client.events()

    assert statuses == [304, 304, 304, 304]
    assert second.items == first.items
    assert third.complete
    assert "renamed" in [one.event_name for one in third.items]


@pytest.mark.timeout(600)
async def test_row_22_resources_are_registered_in_parts_when_the_vtn_breaks_off() -> None:
    """Of 5,000 a VTN that cuts connections leaves a rest, which the next turn does; none is there twice."""
    wanted = [Wanted(f"r{n}", (area(float(n)),)) for n in range(FLEET)]
    seen: list[Progress] = []
    async with conversation("3.1", retries=0) as (vtn, client):
        ven = await ensure_ven(client, "gw")
        assert ven.id is not None
        vtn.faults.append(Fault(method="POST", path="resources", skip=BROKEN_OFF_AFTER, times=8, cut="after"))
        done = await reconcile(client, ven.id, difference(wanted, [], ours=OURS), progress=seen.append)
        vtn.faults.clear()
        listed = (await client.resources(ven.id)).items
        rest = difference(wanted, listed, ours=OURS, ven_id=ven.id)
        again = await reconcile(client, ven.id, rest, progress=seen.append)

    assert done.stopped is not None
    assert BROKEN_OFF_AFTER <= len(done.held) < FLEET
    # What was stored before the cut is adopted.
    assert len(done.held) < len(rest.adopt) <= len(done.held) + 8
    assert again.created == len(rest.create) == FLEET - len(rest.adopt)
    assert seen[-1] == Progress(len(rest.create), len(rest.create), 0)
    assert sorted(one["resourceName"] for one in vtn.resources) == sorted(one.name for one in wanted)
