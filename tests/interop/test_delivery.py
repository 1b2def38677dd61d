"""Each report arrives at the VTN once, whatever happens on the way."""

from __future__ import annotations

import signal

import pytest

from tests.interop.business import EACH, Business, Object, intervals, period, reported
from tests.interop.site import Gateway, Site, soon, until
from tests.interop.tap import Passed, Tap
from tests.interop.vtn import Vtn

USAGE = [{"payloadType": "USAGE", "units": "KWH", **EACH}]


def ask(business: Business, count: int) -> Object:
    """Return an event that soon asks for `count` reports, one each two seconds."""
    return business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(), 2),
        intervals=intervals(count),
        reportDescriptors=USAGE,
    )


async def test_row_60_a_lost_answer_makes_no_second_report(
    gateway: Gateway, business: Business, site: Site, tap: Tap
) -> None:
    """When the answer to a report is lost, it is found at the VTN by its name and not sent again."""
    lost = iter([True, True])
    tap.loses = lambda passed: (passed.method, passed.path) == ("POST", "/reports") and next(lost, False)
    gateway.settings["vtn"]["url"] = tap.url
    await gateway.start()
    await gateway.registered()
    event = ask(business, 3)
    await gateway.until(lambda s: s["reports"]["sent"] == 3, "three reports known as sent")

    reports = business.reports(event)
    assert next(lost, None) is None
    assert len(reports) == 3
    assert len(reported(reports)) == 9
    assert len(tap.requests("POST", "/reports")) == 3


async def test_row_61_a_gateway_that_is_killed_loses_and_doubles_nothing(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """Killed as soon as each report arrives, it goes on where it was: each interval is reported once."""
    await gateway.start()
    await gateway.registered()
    event = ask(business, 6)
    for count in (1, 2, 3):
        await until(
            lambda wanted=count: len(business.reports(event)) >= wanted,  # type: ignore[misc]
            f"report {count} accepted",
            log=lambda: gateway.log,
        )
        await gateway.stop(signal.SIGKILL)
        await gateway.start()
    await gateway.until(lambda s: s["reports"]["sent"] == 6 and not s["reports"]["owed"], "six reports sent")

    reports = business.reports(event)
    assert len(reports) == 6
    assert sorted({start for _, start in reported(reports)})[0].isoformat() == event["intervalPeriod"][
        "start"
    ].replace("Z", "+00:00")
    assert len(reported(reports)) == 6 * 3
    for (name, _), value in reported(reports).items():
        meter = next(one for one in site.meters if one.name == name)
        assert value == pytest.approx(meter.power_kw * 2 / 3600, abs=1e-4)


async def test_row_61_a_vtn_that_is_killed_gets_each_report_once(
    gateway: Gateway, business: Business, vtn: Vtn
) -> None:
    """With the VTN gone in the middle of an event the reports wait, and each arrives once when it is back."""
    await gateway.start()
    await gateway.registered()
    event = ask(business, 6)
    await until(lambda: business.reports(event), "first report accepted", log=lambda: gateway.log)
    vtn.stop()
    await gateway.until(lambda s: s["vtn"]["state"] == "unreachable", "absence noticed")
    await gateway.until(lambda s: s["reports"]["owed"] + s["reports"].get("sending", 0) >= 2, "reports owed")
    vtn.start()
    await gateway.until(lambda s: s["reports"]["sent"] == 6, "six reports sent")

    assert len(business.reports(event)) == 6
    assert len(reported(business.reports(event))) == 18


async def test_a_report_on_an_event_that_is_gone_is_not_refused(
    gateway: Gateway, business: Business, site: Site, tap: Tap
) -> None:
    """Whatever the VTN answers to a report on a deleted event, it is superseded with the next listing."""
    gateway.settings["vtn"]["url"] = tap.url
    await gateway.start()
    await gateway.registered()
    event = ask(business, 1)
    await gateway.knows(1)

    def listing_before_the_report(passed: Passed) -> int | None:
        return 500 if passed.path == "/events" and not tap.answered("POST", "/reports") else None

    tap.spoils = listing_before_the_report
    business.delete_event(event)
    await gateway.until(lambda s: s["events"]["known"] == 0, "listing without it")
    status = gateway.status["reports"]

    assert {one.status for one in tap.answered("POST", "/reports")} <= {400, 404, 409, 422}
    assert (status.get("refused", 0), status["sent"], status["owed"]) == (0, 0, 0)
