"""The reports that events ask for, as the VTN takes and keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.interop.business import EACH, Business, Object, intervals, period, placed, reported
from tests.interop.site import Gateway, Site, soon, until
from tests.interop.tap import Tap

QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
TWO_S = timedelta(seconds=2)


def usage(**timing: object) -> list[Object]:
    """Return a report descriptor for USAGE in kWh."""
    return [{"payloadType": "USAGE", "units": "KWH", **timing}]


async def accepted(gateway: Gateway, business: Business, event: Object, count: int) -> list[Object]:
    """Return the reports on an event once there are `count` of them."""

    def reports() -> list[Object]:
        found = business.reports(event)
        return found if len(found) >= count else []

    found = await until(reports, f"{count} reports accepted", log=lambda: gateway.log)
    assert len(found) == count
    return list(found)


async def test_row_47_without_timing_there_is_one_report_at_the_end(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """One report has each resource's every interval, with what was truly used, after the last has ended."""
    start = soon()
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 2),
        intervals=intervals(3),
        reportDescriptors=usage(),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    assert datetime.fromisoformat(report["createdDateTime"]) >= start + 3 * TWO_S
    assert reported([report]) == pytest.approx(
        {(meter.name, start + n * TWO_S): meter.energy_kwh(TWO_S) for meter in site.meters for n in range(3)},
        abs=1e-4,
    )
    assert [one["id"] for one in report["resources"][0]["intervals"]] == [0, 1, 2]
    assert report["clientName"] == "interop"
    assert report["clientID"] == "interop"


async def test_row_48_a_forecast_is_told_at_the_start(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """With historical false the report is there before the event begins to end, over its intervals."""
    site.history(12 * timedelta(days=1))
    start = soon(4)
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(2),
        reportDescriptors=[
            {"payloadType": "USAGE_FORECAST", "units": "KWH", "historical": False},
        ],
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    assert reported([report], "USAGE_FORECAST") == pytest.approx(
        {(meter.name, start + n * HOUR): meter.energy_kwh(HOUR) for meter in site.meters for n in range(2)},
        rel=0.05,
    )


async def test_row_50_an_endless_wish_on_implied_intervals_rolls_on(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """Without written intervals the period repeats; reports of three follow each other until its end."""
    await gateway.start()
    await gateway.registered()
    start = soon()
    event = business.add_event(
        business.add_program(),
        duration="PT10S",
        intervalPeriod=period(start, 2),
        reportDescriptors=usage(numIntervals=3, frequency=1, repeat=-1),
    )
    reports = await accepted(gateway, business, event, 3)

    begins = [placed(report["resources"][0]) for report in reports]
    assert [[moment for moment, _, _ in one] for one in begins] == [
        [start + (first + n) * TWO_S for n in range(3)] for first in range(3)
    ]
    for report in reports:
        assert reported([report])["Meter 2", placed(report["resources"][0])[0][0]] == pytest.approx(
            site.meters[1].energy_kwh(TWO_S), abs=1e-4
        )


async def test_row_52_reports_at_will_tell_the_whole_event_once(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """Frequency 0 leaves the moments to us: our cadence until the end, all of it reported once."""
    gateway.settings["reporting"]["adhoc_s"] = 5
    await gateway.start()
    await gateway.registered()
    start = soon()
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 10),
        intervals=intervals(1),
        reportDescriptors=[{"payloadType": "OPERATING_STATE", "frequency": 0, "repeat": -1}],
    )
    reports = await accepted(gateway, business, event, 2)

    assert reported(reports, "OPERATING_STATE") == {
        (name, start + n * timedelta(seconds=5)): "RUNNING_NORMAL" for name in site.names for n in range(2)
    }


async def test_row_52_an_event_that_only_asks_for_reports_gets_them(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """Without intervals and without a time there is nothing to follow: energy is reported at our cadence."""
    gateway.settings["reporting"]["adhoc_s"] = 4
    event = business.add_event(business.add_program(), reportDescriptors=usage(frequency=0, repeat=-1))
    await gateway.start()
    await until(lambda: len(business.reports(event)) >= 2, "two reports", log=lambda: gateway.log)
    reports = business.reports(event)

    four_s = timedelta(seconds=4)
    spans = [placed(part)[0][:2] for part in reports[-1]["resources"]]
    assert {length for _, length in spans} == {four_s}
    for name, value in (
        (name, value) for (name, start), value in reported(reports).items() if start == spans[0][0]
    ):
        meter = next(one for one in site.meters if one.name == name)
        assert value == pytest.approx(meter.energy_kwh(four_s), abs=1e-4)


async def test_row_53_sub_intervals_share_the_id_of_their_interval(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """A quarter-hour meter under an hour's interval reports four quarters, each with its time and that id."""
    last = site.history(4 * HOUR)
    start = last - HOUR
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=[{"id": 7, "payloads": [{"type": "SIMPLE", "values": [0]}]}],
        reportDescriptors=usage(reportIntervals="SUB_INTERVALS"),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    for part in report["resources"]:
        assert [(moment, length, one["id"]) for moment, length, one in placed(part)] == [
            (start + n * QUARTER, QUARTER, 7) for n in range(4)
        ]
        assert all("intervalPeriod" in one for one in part["intervals"])
    assert reported([report])["Meter 3", start] == pytest.approx(site.meters[2].energy_kwh(QUARTER))


async def test_row_53_open_intervals_have_ids_of_their_own(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """OPEN_INTERVALS report the same hour in intervals of our own, each with its time."""
    last = site.history(4 * HOUR)
    start = last - HOUR
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=[{"id": 7, "payloads": [{"type": "SIMPLE", "values": [0]}]}],
        reportDescriptors=usage(reportIntervals="OPEN_INTERVALS"),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    for part, meter in zip(report["resources"], site.meters, strict=True):
        found = placed(part)
        assert found[0][0] == start
        assert sum((length for _, length, _ in found), timedelta()) == HOUR
        assert len({one["id"] for _, _, one in found}) == len(found)
        assert sum(one["payloads"][0]["values"][0] for _, _, one in found) == pytest.approx(
            meter.energy_kwh(HOUR)
        )


async def test_row_54_an_aggregate_is_the_sum_of_all_meters(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """One resource named AGGREGATED_REPORT has the energy of the three together."""
    start = site.history(4 * HOUR) - HOUR
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(1),
        reportDescriptors=usage(aggregate=True),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    whole = sum(meter.energy_kwh(HOUR) for meter in site.meters)
    assert reported([report]) == pytest.approx({("AGGREGATED_REPORT", start): whole})


async def test_row_54_an_aggregate_that_lacks_a_meter_says_so(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """With one meter silent the sum of the others has a quality beside it that is not OK."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    for meter in site.meters[:2]:
        meter.write([start - QUARTER + n * QUARTER for n in range(8)])
    site.meters[2].silent = True
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(1),
        reportDescriptors=usage(aggregate=True),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    some = sum(meter.energy_kwh(HOUR) for meter in site.meters[:2])
    assert reported([report]) == pytest.approx({("AGGREGATED_REPORT", start): some})
    assert reported([report], "DATA_QUALITY")["AGGREGATED_REPORT", start] in ("ESTIMATED", "BAD", "MISSING")


async def test_row_58_what_was_not_measured_is_missing_and_not_zero(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """For the hour in which a meter wrote nothing MISSING is reported to the VTN, and no energy."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 6 * HOUR
    whole, broken = site.meters[:2]
    site.meters[2].silent = True
    minutes = [start + timedelta(minutes=n) for n in range(-10, 310)]
    whole.write(minutes)
    broken.write([one for one in minutes if not start + 1.8 * HOUR < one < start + 3.2 * HOUR])
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(5),
        reportDescriptors=usage(),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)

    known, quality = reported([report]), reported([report], "DATA_QUALITY")
    assert {moment for name, moment in known if name == whole.name} == {start + n * HOUR for n in range(5)}
    assert (broken.name, start + 2 * HOUR) not in known
    assert quality[broken.name, start + 2 * HOUR] == "MISSING"
    assert [known[broken.name, start + n * HOUR] for n in (0, 4)] == pytest.approx([72.0, 72.0])
    assert 0 not in known.values()


async def test_row_59_of_windows_that_are_over_only_the_newest_is_told(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """An event that began four hours ago has one report due for the past, on its latest finished hour."""
    start = site.history(6 * HOUR, HOUR) - 4 * HOUR
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(24),
        reportDescriptors=usage(**EACH),
    )
    await gateway.start()
    (report,) = await accepted(gateway, business, event, 1)
    await gateway.until(lambda s: s["reports"]["owed"] == 0, "nothing owed")

    assert {moment for _, moment in reported([report])} == {start + 3 * HOUR}
    assert reported([report])["Meter 1", start + 3 * HOUR] == pytest.approx(36.0)
    assert len(business.reports(event)) == 1


async def test_row_63_late_meter_data_correct_the_report_in_place(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """When rows come after their report, the same report is put again with the corrected value."""
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = last - 2 * HOUR
    minutes = [start + timedelta(minutes=n) for n in range(-10, 70)]
    early, late = site.meters[0], site.meters[1]
    site.meters[2].silent = late.silent = True
    early.write(minutes)
    late.write(minutes[:10])
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(1),
        reportDescriptors=usage(),
    )
    await gateway.start()
    (first,) = await accepted(gateway, business, event, 1)
    late.write(minutes[10:])

    def corrected() -> bool:
        return (late.name, start) in reported(business.reports(event))

    # Late rows are waited for until no more come.
    await until(corrected, "report corrected", within_s=180, log=lambda: gateway.log)
    (report,) = business.reports(event)
    assert (report["id"], report["reportName"]) == (first["id"], first["reportName"])
    assert reported([report]) == pytest.approx({(early.name, start): 36.0, (late.name, start): 72.0})


async def test_row_64_whole_numbers_leave_as_floats(
    gateway: Gateway, business: Business, site: Site, tap: Tap
) -> None:
    """36 kWh in the meter's file is 36.0 on the wire, on which OpenLEADR insists."""
    start = site.history(4 * HOUR) - HOUR
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 3600),
        intervals=intervals(1),
        reportDescriptors=usage(),
    )
    gateway.settings["vtn"]["url"] = tap.url
    await gateway.start()
    await accepted(gateway, business, event, 1)
    await until(lambda: tap.answered("POST", "/reports"), "answer passed on", log=lambda: gateway.log)
    (sent,) = tap.answered("POST", "/reports")

    assert b'"values":[36.0]' in sent.body.replace(b" ", b"")
    assert sent.status == 201


#: What this VEN reports of the past, and of the future.
PAST = (
    *(
        "USAGE",
        "DEMAND",
        "READING",
        "OPERATING_STATE",
        "BASELINE",
        "DELTA_USAGE",
        "USAGE_FORECAST",
        "SETPOINT",
    ),
    *("STORAGE_CHARGE_LEVEL", "STORAGE_USABLE_CAPACITY", "STORAGE_MAX_CHARGE_POWER"),
    *("STORAGE_MAX_DISCHARGE_POWER", "UP_REGULATION_AVAILABLE", "DOWN_REGULATION_AVAILABLE"),
)
AHEAD = (
    *("USAGE", "DEMAND", "USAGE_FORECAST", "BASELINE", "SETPOINT", "STORAGE_USABLE_CAPACITY"),
    *("STORAGE_MAX_CHARGE_POWER", "STORAGE_MAX_DISCHARGE_POWER"),
    *("UP_REGULATION_AVAILABLE", "DOWN_REGULATION_AVAILABLE"),
)


@pytest.mark.parametrize(("kinds", "historical"), [(PAST, True), (AHEAD, False)], ids=["past", "ahead"])
async def test_every_payload_is_accepted(
    kinds: tuple[str, ...], historical: bool, gateway: Gateway, business: Business, site: Site
) -> None:
    """Whatever this VEN can report is accepted as it is, also by a VTN that checks each value."""
    site.meters[2].resource.resourceType = "BATTERY"
    site.store()
    start = site.history(12 * timedelta(days=1)) - HOUR if historical else soon(30)
    program = business.add_program()
    events = {
        kind: business.add_event(
            program,
            intervalPeriod=period(start, 900),
            intervals=intervals(2),
            reportDescriptors=[{"payloadType": kind, "historical": historical}],
        )
        for kind in kinds
    }
    if not historical:
        site.history(12 * timedelta(days=1))
    await gateway.start()
    await gateway.until(lambda s: s["reports"]["sent"] == len(kinds), "all sent")

    assert gateway.status["reports"].get("refused", 0) == 0
    found = {kind: business.reports(event) for kind, event in events.items()}
    assert [kind for kind, reports in found.items() if len(reports) != 1] == []
    told_kinds = {
        payload["type"]
        for reports in found.values()
        for report in reports
        for part in report["resources"]
        for interval in part["intervals"]
        for payload in interval["payloads"]
    }
    assert told_kinds >= {"USAGE", "DEMAND", "BASELINE", "USAGE_FORECAST", "STORAGE_USABLE_CAPACITY"}
