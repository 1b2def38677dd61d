"""The gateway on a machine whose clock is wrong at the start."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.journeys.conftest import SECRET, GatewayProcess, until
from venclient import clock_guard
from venclient.clock import SystemClock
from venclient.gateway import Gateway
from venclient.settings import load_settings
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]


class WrongClock(SystemClock):
    """The machine's clock, years behind until it is set."""

    behind = timedelta(days=3 * 365)

    def now(self) -> datetime:
        """Return the time that this machine believes."""
        return super().now() - self.behind


async def test_what_was_read_before_the_clock_was_right_is_stored_at_its_time(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readings without a time of their own wait, the status says so, none is lost or stored too early."""
    monkeypatch.setenv("JOURNEY_SECRET", SECRET)
    gateway.write(vtn.url)
    clock = WrongClock()
    began = datetime.now(UTC)
    service = Gateway(load_settings(tmp_path / "ven.toml"), clock=clock)
    running = asyncio.create_task(service.run())
    try:
        polled = [meter for meter in site.meters if meter.resource.connection.type == "modbustcp"]
        await until(lambda: service.snapshot()["clock"]["held"] >= 2 * len(polled), "readings held")
        seen = service.snapshot()
        assert not seen["clock"]["synchronised"]
        assert any("clock not synchronised" in note for note in seen["notes"])
        assert not any(row["latest"] for row in seen["connections"] if row["connection"] == "MODBUSTCP")

        clock.behind = timedelta(0)
        right_since = datetime.now(UTC)
        await until(lambda: service.snapshot()["clock"]["synchronised"], "the clock is believed")
        await until(lambda: all(row["latest"] for row in service.snapshot()["connections"]), "all stored")

        await service._store.flush()
        for meter in polled:
            found = await service._store.window(meter.resource.resourceID, began, datetime.now(UTC))
            times = [one.time for readings in found.values() for one in readings]
            assert times
            assert all(began - timedelta(seconds=1) <= time <= datetime.now(UTC) for time in times)
            assert min(times) < right_since
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_for_the_clock_outlasts_the_service(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the time was known, and started again: what was read before is stored at its time."""
    monkeypatch.setenv("JOURNEY_SECRET", SECRET)
    gateway.write(vtn.url)
    clock = WrongClock()
    began = datetime.now(UTC)
    monkeypatch.setattr(clock_guard, "kernel_is_synchronised", lambda: False)
    monkeypatch.setattr(clock_guard, "has_battery_clock", lambda: False)
    polled = [one.resource for one in site.meters if one.resource.connection.type == "modbustcp"]
    first = Gateway(load_settings(tmp_path / "ven.toml"), clock=clock)
    running = asyncio.create_task(first.run())
    await until(lambda: first.snapshot()["clock"]["held"] >= 2 * len(polled), "readings held")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    stopped = datetime.now(UTC)

    second = Gateway(load_settings(tmp_path / "ven.toml"), clock=clock)
    running = asyncio.create_task(second.run())
    try:
        assert second.snapshot()["clock"]["held"] >= 2 * len(polled)
        clock.behind = timedelta(0)
        await until(lambda: second.snapshot()["clock"]["synchronised"], "the clock is believed")
        await until(lambda: second.snapshot()["clock"]["held"] == 0, "what waited is stored")
        await second._store.flush()
        for resource in polled:
            found = await second._store.window(resource.resourceID, began, stopped)
            times = [one.time for readings in found.values() for one in readings]
            assert sum(began <= time <= stopped for time in times) >= 2
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    # Known once, it is known to the next process from its first moment on.
    third = Gateway(load_settings(tmp_path / "ven.toml"), clock=clock)
    assert third.snapshot()["clock"]["synchronised"]
    await third._store.close()
