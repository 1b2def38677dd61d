"""The service end to end: real meters on loopback, a real process, a VTN over real HTTP."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.journeys.conftest import GatewayProcess, ask_for_usage, resource, spans, told, until
from venclient.model.resource import ActorType, Connection, ConnectionType
from venclient.registry.database import ResourceDatabase
from venclient.registry.query import Query
from venclient.simulation.site import VirtualSite
from venclient.simulation.verdict import energy_rows
from venclient.simulation.vtn import Fault, LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

NAMES = [f"Site {n}" for n in range(5)]


def everything(intervals: int) -> list[tuple[str, int]]:
    """Return what must be reported: each resource's each interval, once."""
    return sorted((name, n) for name in NAMES for n in range(intervals))


def all_ok(gateway: GatewayProcess) -> bool:
    """True when every meter was read and every resource is registered."""
    status = gateway.status
    return bool(status) and all(
        one["state"] == "ok" and one["vtn_name"] is not None for one in status["connections"]
    )


async def test_meters_of_every_kind_reach_the_vtn_as_energy(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """Modbus, MQTT and file meters: each interval is reported to the VTN once, with what was truly used."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: all_ok(gateway), "all meters read and registered")
    event = ask_for_usage(vtn, intervals=3)
    await until(lambda: len(vtn.reports) == 3, "three reports accepted")

    rows = energy_rows(
        vtn.reports,
        {name: f"resource-{n}" for n, name in enumerate(NAMES)},
        spans(event),
        site.true_energy_kwh,
    )
    assert told(vtn) == everything(3)
    assert {row.name: row.error_percent < 2 for row in rows} == dict.fromkeys(NAMES, True)
    assert gateway.status["reports"]["sent"] == 3
    assert [ven["venName"] for ven in vtn.vens] == ["journey"]
    assert sorted(one["resourceName"] for one in vtn.resources) == NAMES
    # The registry knows how reporting stands for each resource.
    with ResourceDatabase(str(gateway.folder / "resources.db")) as registry:
        states = {one.resource_id: one.state for one in registry.reporting_statuses()}
        never = registry.query(Query().never_reported()).count()
    assert (states, never) == ({f"resource-{n}": "reported" for n in range(5)}, 0)


async def test_with_the_vtn_down_at_the_start_meters_are_read_and_the_status_says_so(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """Readings are stored while the VTN is away; when it comes, the VEN registers and reports."""
    gateway.write(vtn.url)
    await vtn.stop()
    await gateway.start()
    status = await until(
        lambda: (s := gateway.status) and s["readings"]["readings"] >= 20 and s["vtn"]["last_error"] and s,
        "readings stored and the VTN's absence told",
    )
    assert status["vtn"]["state"] == "unreachable"
    assert {one["state"] for one in status["connections"]} == {"ok"}

    ask_for_usage(vtn, intervals=2, starts_in_s=6)
    await vtn.start()
    await until(lambda: len(vtn.reports) == 2, "reports accepted after the VTN came")

    assert told(vtn) == everything(2)
    assert gateway.status["vtn"]["state"] == "connected"
    # Said when it began and when it ended, not each time it was tried.
    assert gateway.log.count("WARNING venclient.client") <= 2


async def test_reports_owed_while_the_vtn_is_away_arrive_once_and_in_order(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """An outage in the middle of an event delays reports and neither loses nor doubles any."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: all_ok(gateway), "all meters read and registered")
    ask_for_usage(vtn, intervals=3)
    await until(lambda: gateway.status["events"]["known"] == 1, "event known")
    await vtn.stop()
    await until(lambda: gateway.status["reports"]["owed"] == 3, "three reports owed")
    await vtn.start()
    await until(lambda: len(vtn.reports) == 3, "three reports accepted")

    order = [report["resources"][0]["intervals"][0]["id"] for report in vtn.reports]
    assert sorted(order) == order or sorted(order, reverse=True) == order
    assert told(vtn) == everything(3)


async def test_row_60_a_lost_answer_makes_no_second_report(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """When the connection is cut after the VTN has stored a report, it is found there and not sent again."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: all_ok(gateway), "all meters read and registered")
    vtn.faults.append(Fault(method="POST", path="reports", times=1, cut="after"))
    ask_for_usage(vtn, intervals=2)
    await until(lambda: gateway.status["reports"]["sent"] == 2, "two reports known as sent")

    assert told(vtn) == everything(2)


async def test_row_61_a_gateway_killed_in_the_middle_loses_and_doubles_nothing(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """After kill -9 the next process goes on where the files say; file and MQTT meters lack nothing."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: all_ok(gateway), "all meters read and registered")
    ask_for_usage(vtn, intervals=4)
    await until(lambda: len(vtn.reports) >= 1, "first report accepted")
    await gateway.stop(signal.SIGKILL)
    await gateway.start()
    await until(
        lambda: gateway.status and gateway.status["reports"]["sent"] == 4, "four reports known as sent"
    )

    found = told(vtn)
    assert len(vtn.reports) == 4
    assert len(found) == len(set(found))
    kept = {
        name
        for name, meter in zip(NAMES, site.meters, strict=True)
        if "MODBUS" not in meter.resource.connection.type.name
    }
    assert {one for one in everything(4) if one[0] in kept} <= set(found)


async def test_a_wrong_connection_is_named_and_stops_no_other(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """Options that cannot be right, and a meter that is not there: both are reported, the rest is read."""
    wrong, gone = resource(8), resource(9)
    wrong.connection = Connection(
        ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1", options={"registers": [{"typ": "int99"}]}
    )
    gone.connection = Connection(
        ConnectionType.FILEREADER, ActorType.READER, file="nowhere.csv", options={"format": "csv"}
    )
    # As a program left them that does not have options checked.
    with ResourceDatabase(str(tmp_path / "resources.db"), check_options=lambda _: []) as database:
        database.bulk_upsert([wrong, gone])
    gateway.write(vtn.url)
    await gateway.start()
    await until(
        lambda: (s := gateway.status) and sum(one["state"] == "ok" for one in s["connections"]) == 5,
        "the five good meters read",
    )

    rows = {one["name"]: one for one in gateway.status["connections"]}
    assert rows["Site 8"]["state"] == "refused"
    assert "typ" in rows["Site 8"]["last_error"]
    assert rows["Site 9"]["state"] == "dark"
    assert "nowhere.csv" in rows["Site 9"]["last_error"]


async def test_it_stops_and_commits(site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess) -> None:
    """SIGTERM ends it with status 0, what was read is stored, and the socket is gone."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: all_ok(gateway), "all meters read and registered")

    assert await gateway.stop() == 0
    assert gateway.status == {}
    assert "Traceback" not in gateway.log


async def test_no_secret_is_in_log_or_status(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """The client secret shows in neither, even when it is refused (row 14)."""
    gateway.write(vtn.url, client_id='"nobody"')
    await gateway.start()
    await until(lambda: (s := gateway.status) and s["vtn"]["last_error"], "refusal told")

    assert "journey-secret" not in gateway.log + str(gateway.status)
    assert "invalid_client" in gateway.log


async def test_a_second_gateway_on_the_same_files_is_refused(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """Two processes never write one folder: the second ends with a sentence."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: gateway.status, "first gateway up")
    second = GatewayProcess(tmp_path)
    await second.start()
    assert second.process is not None
    async with asyncio.timeout(60):
        status = await second.process.wait()

    assert status == 1
    assert "another gateway is running" in second.log
