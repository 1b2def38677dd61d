"""Several VTNs at once: one gateway, and none of them notices the others."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import SECRET, GatewayProcess, ask_for_usage, told, until
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import Fault, LocalVtn
from venclient.simulation.vtn.faults import FOREVER

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]


def _two(gateway: GatewayProcess, first: str, second: str) -> None:
    gateway.write(first)
    file = gateway.folder / "ven.toml"
    file.write_text(
        file.read_text()
        + f'[vtns.operator]\nurl = "{second}"\nclient_id = "ven-1"\nclient_secret = "env:JOURNEY_SECRET"\n'
        'allow_http = true\npoll_s = 0.5\nven_name = "journey-grid"\n'
    )


async def test_row_72_a_vtn_that_is_slow_or_down_delays_no_other(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """Each VTN has all reports that it asked for, once, while the other hangs or is away."""
    async with LocalVtn(clients=[{"id": "ven-1", "secret": SECRET, "role": "ven"}]) as other:
        _two(gateway, vtn.url, other.url)
        vtn.faults.append(Fault(times=FOREVER, latency_s=5.0))
        await gateway.start()
        await until(lambda: len(other.resources) == 5, "registered at the second VTN, the first one hanging")
        ask_for_usage(other, intervals=2)
        await until(lambda: len(other.reports) == 2, "reports at the second VTN, the first one hanging")
        assert not vtn.reports

        vtn.faults.clear()
        await other.stop()
        # Longer than one hanging request lasts.
        ask_for_usage(vtn, intervals=2, starts_in_s=12)
        await until(lambda: len(vtn.reports) == 2, "reports at the first VTN, the second away")

        status = gateway.status
        (second,) = status["others"]
        assert (status["vtn"]["state"], status["reports"]["sent"]) == ("connected", 2)
        assert (second["name"], second["vtn"]["state"]) == ("operator", "unreachable")
        assert second["ven"]["name"] == "journey-grid"
        assert sorted(told(vtn)) == sorted(told(other))
