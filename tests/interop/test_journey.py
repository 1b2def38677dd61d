"""Exactly once, in small and against each VTN: minutes of reports while the gateway is killed at random."""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.interop.business import EACH, Business, intervals, period, placed, reported
from tests.interop.conftest import JOURNEY_MIN
from tests.interop.site import Gateway, Meter, Site, running, soon, until
from tests.interop.vtn import Vtn

STEP_S = 5
RESOURCES = 10
SEED = 20261124

pytestmark = pytest.mark.timeout(JOURNEY_MIN * 60 + 180)


async def test_row_61_every_report_arrives_once_through_kills_and_outages(
    tmp_path: Path, vtn: Vtn, business: Business
) -> None:
    """Killed at random, with the VTN gone now and then, it has no pending report in the end: each was sent.

    They report what the meters' registers say, for each resource and interval.
    """
    site = Site(tmp_path, [Meter(tmp_path, n, 36.0 * n) for n in range(1, RESOURCES + 1)])
    gateway = Gateway(tmp_path, vtn.url)
    count = round(JOURNEY_MIN * 60 / STEP_S)
    rng = random.Random(SEED)
    async with running(site):
        await gateway.start()
        await gateway.registered()
        start = soon()
        event = business.add_event(
            business.add_program(),
            intervalPeriod=period(start, STEP_S),
            intervals=intervals(count),
            reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
        )
        try:
            kills = await disturb(gateway, vtn, rng, count * STEP_S)
            await until(
                lambda: (s := gateway.status) and s["reports"]["sent"] == count and s["reports"]["owed"] == 0,
                f"{count} reports sent",
                log=lambda: gateway.log,
            )
        finally:
            await gateway.stop()

    reports = business.reports(event)
    step = timedelta(seconds=STEP_S)
    assert len({report["reportName"] for report in reports}) == len(reports) == count
    assert reported(reports) == pytest.approx(
        {
            (meter.name, start + n * step): meter.energy_kwh(step)
            for meter in site.meters
            for n in range(count)
        },
        abs=1e-4,
    )
    assert {
        length for report in reports for part in report["resources"] for _, length, _ in placed(part)
    } == {step}
    assert kills >= JOURNEY_MIN * 3


async def disturb(gateway: Gateway, vtn: Vtn, rng: random.Random, for_s: float) -> int:
    """Kill the gateway again and again, and the VTN now and then; give how often the gateway died."""
    clock = asyncio.get_running_loop()
    end = clock.time() + for_s
    kills = 0
    while clock.time() < end:
        await asyncio.sleep(
            min(rng.uniform(1, 14), max(0.0, end - clock.time()))
        )  # processes live their lives
        if rng.random() < 0.25:
            vtn.stop()
            await asyncio.sleep(rng.uniform(0.5, 8))
            vtn.start()
            continue
        await gateway.stop(signal.SIGKILL)
        kills += 1
        await asyncio.sleep(rng.uniform(0, 3))
        await gateway.start()
    return kills
