"""A gateway that starts on a full disk: meters are read, the VTN is served, and with room all is stored."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from tests.journeys.conftest import GatewayProcess, ask_for_usage, until
from tests.journeys.test_faults import small_disk
from tests.journeys.test_gateway import all_ok, everything
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

BLOCK = 4096


def fill(folder: Path) -> Path:
    """Take all the room of a disk; return the file that has it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(BLOCK)) == BLOCK:
            pass
    return ballast


def sent(vtn: LocalVtn) -> list[tuple[str, int]]:
    """Return resource and interval of each USAGE value that the VTN has, sorted."""
    parts = [part for report in vtn.reports for part in report["resources"]]
    return sorted(
        (part["resourceName"], interval["id"])
        for part in parts
        for interval in part["intervals"]
        if any(payload["type"] == "USAGE" for payload in interval["payloads"])
    )


@pytest.mark.parametrize("has_files", [False, True])
async def test_started_on_a_full_disk_it_serves_and_stores_later(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess, has_files: bool
) -> None:
    """Meters are read into memory and `ven status` answers; events are followed; with room the reports go.

    With files from a run before, and without any.
    """
    gateway.write(vtn.url)
    with small_disk(gateway.folder / "var", 2) as disk:
        if has_files:
            await gateway.start()
            await until(lambda: all_ok(gateway), "a first run reads all meters")
            assert await gateway.stop() == 0
        ballast = fill(disk)
        await gateway.start()
        await until(lambda: all_ok(gateway), "all meters are read")
        await until(lambda: gateway.status["vtn"]["state"] == "connected", "the VTN is served")
        ask_for_usage(vtn, intervals=2, starts_in_s=4)
        await until(lambda: gateway.status["events"]["known"] == 1, "the event is known")
        status = await until(
            lambda: (s := gateway.status) and s["readings"]["waiting"] > 20 and s, "readings wait in memory"
        )
        assert status["readings"]["dropped"] == 0
        assert shutil.disk_usage(disk).free == 0
        ballast.unlink()
        await until(lambda: len(vtn.reports) == 2, "the reports are sent")
        await until(lambda: gateway.status["readings"]["last_error"] is None, "readings are stored")
        last = gateway.status["readings"]
        assert last["readings"] >= status["readings"]["waiting"]
        assert (last["dropped"], last["refused"]) == (0, 0)
        assert await gateway.stop() == 0
    assert sent(vtn) == everything(2)
    assert "VEN-RDG-140" in gateway.log
    assert "Traceback" not in gateway.log


async def test_with_registry_and_log_on_the_full_disk_it_serves_all_the_same(
    site: VirtualSite, vtn: LocalVtn, tmp_path: Path
) -> None:
    """Where the registry, the settings and the log are on the full disk too, only log lines are lost."""
    with small_disk(tmp_path / "disk", 4) as disk:
        gateway = GatewayProcess(disk)
        for file in tmp_path.iterdir():
            if file.is_file():
                shutil.copy(file, disk)
        gateway.write(vtn.url)
        with (disk / "ven.toml").open("a") as settings:
            settings.write(f'[files]\nroots = ["{tmp_path}"]\n')
        ballast = fill(disk)
        await gateway.start()
        try:
            await until(lambda: all_ok(gateway), "all meters are read")
            ask_for_usage(vtn, intervals=2, starts_in_s=4)
            await until(lambda: gateway.status["events"]["known"] == 1, "the event is known")
            ballast.unlink()
            await until(lambda: len(vtn.reports) == 2, "the reports are sent")
            await until(lambda: gateway.status["readings"]["last_error"] is None, "readings are stored")
            assert gateway.status["readings"]["dropped"] == 0
        finally:
            stopped = await gateway.stop()
        assert stopped == 0
    assert sent(vtn) == everything(2)
