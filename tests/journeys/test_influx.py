"""The service with InfluxDB beside it: every reading gets there, and reports come from there."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.journeys.conftest import GatewayProcess, ask_for_usage, spans, told, until
from tests.peers import influxd, pick_port
from venclient.readings.series import from_ms, to_ms
from venclient.readings.tables import open_tables
from venclient.simulation.site import VirtualSite
from venclient.simulation.verdict import energy_rows
from venclient.simulation.vtn import LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

NAMES = [f"Site {n}" for n in range(5)]


def mirrored(url: str) -> dict[tuple[str, int], float]:
    """Return the power readings that InfluxDB has, by resource and millisecond."""
    statement = 'SELECT "power_kw" FROM meter_reading GROUP BY resource_id'
    with httpx2.Client(trust_env=False) as http:
        answer = http.post(f"{url}/query", params={"db": "meter_data", "epoch": "ms"}, data={"q": statement})
    result: dict[str, Any] = answer.json()["results"][0]
    return {
        (series["tags"]["resource_id"], ms): value
        for series in result.get("series", [])
        for ms, value in series["values"]
    }


def kept(folder: Path) -> dict[tuple[str, int], float]:
    """Return the power readings of the journal in the same form."""
    tables = open_tables(folder / "var" / "readings.db", read_only=True)
    try:
        rows = tables.rows(from_ms(0), from_ms(4_000_000_000_000), quantity="power_kw")
        return {(row.resource_id, to_ms(row.time)): row.value for row in rows}
    finally:
        tables.close()


def configure(gateway: GatewayProcess, vtn: LocalVtn, url: str) -> None:
    """Write settings of a gateway whose reports come from InfluxDB."""
    gateway.write(vtn.url)
    with (gateway.folder / "ven.toml").open("a") as file:
        file.write(f'[influx]\nurl = "{url}"\nversion = 1\nperiod_s = 0.5\n')
    text = (gateway.folder / "ven.toml").read_text()
    text = text.replace("commit_s = 2\n", 'commit_s = 2\nstore = "influxdb"\n')
    (gateway.folder / "ven.toml").write_text(text)


async def test_readings_are_mirrored_and_reports_come_from_there(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """The reports have what was truly used, out of InfluxDB, which holds what the journal holds."""
    with influxd(tmp_path / "influxd", pick_port()) as url:
        configure(gateway, vtn, url)
        await gateway.start()
        await until(lambda: gateway.status and gateway.status["influx"]["sent"] > 20, "readings mirrored")
        event = ask_for_usage(vtn, intervals=2)
        await until(lambda: len(vtn.reports) == 2, "two reports accepted")
        status = gateway.status["influx"]
        assert await gateway.stop() == 0
        await gateway.start()  # what was committed on the way out follows
        journal = kept(tmp_path)
        await until(lambda: journal.items() <= mirrored(url).items(), "all of the journal mirrored")
        await gateway.stop()

    assert len({resource for resource, _ in journal}) == 5
    rows = energy_rows(
        vtn.reports,
        {name: f"resource-{n}" for n, name in enumerate(NAMES)},
        spans(event),
        site.true_energy_kwh,
    )
    assert {row.name: row.error_percent < 2 for row in rows} == dict.fromkeys(NAMES, True)
    assert (status["state"], status["rejected"], status["history"]) == (
        "ok",
        0,
        {"problem": None, "fallbacks": 0},
    )
    assert "Traceback" not in gateway.log


async def test_with_influxdb_away_nothing_changes_but_the_status(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """Meters are read and reports sent from the journal; killed and started again, with InfluxDB back, the
    mirror is complete.
    """
    port = pick_port()
    configure(gateway, vtn, f"http://127.0.0.1:{port}")
    await gateway.start()
    await until(lambda: gateway.status and gateway.status["readings"]["readings"] > 20, "readings stored")
    ask_for_usage(vtn, intervals=2)
    await until(lambda: len(vtn.reports) == 2, "two reports accepted")
    status = gateway.status["influx"]
    assert (status["state"], status["sent"]) == ("away", 0)
    assert status["history"]["fallbacks"] > 0
    assert sorted(told(vtn)) == sorted((name, n) for name in NAMES for n in range(2))
    assert gateway.log.count("readings are kept in the journal") == 1

    await gateway.stop(signal.SIGKILL)
    journal = kept(tmp_path)
    with influxd(tmp_path / "influxd", port) as url:
        await gateway.start()
        await until(lambda: journal.items() <= mirrored(url).items(), "all of the journal mirrored")
        await gateway.stop()
