"""Programs and events as they come back from the VTN: read, followed when they change, and let go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.interop.business import EACH, PRICES, Business, Object, intervals, period, reported, zulu
from tests.interop.site import Gateway, soon, until
from tests.interop.tap import Passed, Tap
from tests.interop.vtn import Vtn
from venclient.client import VenClient
from venclient.openadr.objects import Event
from venclient.openadr.timeline import Slot, Timeline, resolve

HOUR = timedelta(hours=1)


async def heard(client: VenClient, event: Object) -> Event:
    """Return an event as the product reads it from the VTN."""
    listing = await client.events()
    assert listing.refused == ()
    return next(one for one in listing.items if one.id == event["id"])


def line(event: Event) -> Timeline:
    """Return the timeline of an event that was first seen now."""
    return resolve(event, anchor=datetime.now(UTC))


def value(slot: Slot | None) -> Any:
    """Return the first value that an interval carries."""
    assert slot is not None
    return slot.payloads[0].values[0]


@pytest.mark.only("openleadr")  # a program with descriptors ends all listings of the crate's VTN
async def test_row_27_what_a_descriptor_leaves_out_comes_from_its_program(
    gateway: Gateway, business: Business
) -> None:
    """A report that names no units has those of the program's descriptor; one that names them has its own."""
    descriptor = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "units": "WH"}
    program = business.add_program(payloadDescriptors=[descriptor])
    common: Object = {"intervalPeriod": period(soon(), 2), "intervals": intervals(1)}
    plain = business.add_event(program, reportDescriptors=[{"payloadType": "USAGE", **EACH}], **common)
    own = business.add_event(
        program, reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}], **common
    )
    await gateway.start()
    await until(
        lambda: business.reports(plain) and business.reports(own), "both accepted", log=lambda: gateway.log
    )

    assert [units(event, business) for event in (plain, own)] == ["WH", "KWH"]
    energy = {
        start: one for (name, start), one in reported(business.reports(plain)).items() if name == "Meter 1"
    }
    assert [round(one, 3) for one in energy.values()] == [20.0]


def units(event: Object, business: Business) -> str:
    """Return the units that the report on an event declares for USAGE."""
    (report,) = business.reports(event)
    (said,) = (one for one in report["payloadDescriptors"] if one["payloadType"] == "USAGE")
    return str(said["units"])


async def test_row_31_an_endless_interval_is_endless_as_the_vtn_writes_it(
    client: VenClient, business: Business, vtn: Vtn
) -> None:
    """P9999Y comes back as the VTN spells it, and still has no end."""
    event = business.add_event(
        business.add_program(),
        intervalPeriod={"start": zulu(datetime.now(UTC) - HOUR), "duration": "P9999Y"},
        intervals=intervals(1, "PRICE", [0.25]),
    )
    assert business.events()[0]["intervalPeriod"]["duration"] == vtn.endless
    timeline = line(await heard(client, event))

    assert timeline.end is None
    assert value(timeline.holding(datetime.now(UTC) + timedelta(days=365 * 1000))) == 0.25


async def test_row_31_an_event_that_lasts_for_ever_loops(client: VenClient, business: Business) -> None:
    """An event's own duration of P9999Y repeats its intervals without end."""
    now = datetime.now(UTC)
    event = business.add_event(
        business.add_program(),
        duration="P9999Y",
        intervalPeriod=period(now - 30 * timedelta(days=1), 3600),
        intervals=intervals(24, "PRICE", [hour / 10 for hour in range(24)]),
    )
    timeline = line(await heard(client, event))

    assert timeline.count is None
    assert value(timeline.holding(now + timedelta(minutes=1))) == 0.0
    assert value(timeline.holding(now + 5 * HOUR + timedelta(minutes=1))) == 0.5


async def test_row_32_an_event_of_no_length_is_cancelled(gateway: Gateway, business: Business) -> None:
    """An event that is put to "now" and PT0S asks for nothing more, and what it asked before is dropped."""
    await gateway.start()
    await gateway.registered()
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(4), 2),
        intervals=intervals(3),
        reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
    )
    witness = witness_event(business)
    await gateway.knows(2)
    business.change_event(event, intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT0S"})
    await until(lambda: len(business.reports(witness)) == 5, "witness reported", log=lambda: gateway.log)

    assert business.reports(event) == []
    assert gateway.status["reports"]["owed"] == 0


def witness_event(business: Business) -> Object:
    """Return an event whose five reports show that enough time has passed."""
    return business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(4), 2),
        intervals=intervals(5),
        reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
    )


async def test_row_36_a_late_joiner_is_in_the_right_interval(client: VenClient, business: Business) -> None:
    """Of a day's hourly prices fetched in the seventh hour the seventh is in force."""
    now = datetime.now(UTC)
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(now - 6.5 * HOUR, 3600),
        intervals=intervals(24, "PRICE", [hour / 10 for hour in range(24)]),
    )
    slot = line(await heard(client, event)).holding(now)

    assert slot is not None
    assert (slot.id, value(slot)) == (6, 0.6)


async def test_row_38_a_modified_event_is_followed_as_it_is_now(
    gateway: Gateway, client: VenClient, business: Business
) -> None:
    """A change in the middle of an event counts from then on: other reports, another value."""
    start = soon()
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(start, 2),
        intervals=intervals(60, "PRICE", [0.1] * 60),
        reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
    )
    await gateway.start()
    await until(lambda: business.reports(event), "first report accepted", log=lambda: gateway.log)
    before = line(await heard(client, event)).holding(datetime.now(UTC))
    business.change_event(
        event,
        intervals=intervals(60, "PRICE", [0.9] * 60),
        reportDescriptors=[{"payloadType": "USAGE", "units": "WH", **EACH}],
    )
    after = line(await heard(client, event)).holding(datetime.now(UTC))
    await until(
        lambda: any(one["payloadDescriptors"][0]["units"] == "WH" for one in business.reports(event)),
        "reports in the new units",
        log=lambda: gateway.log,
    )

    assert (value(before), value(after)) == (0.1, 0.9)
    reported(business.reports(event))  # nothing twice


async def test_row_39_a_deleted_event_is_let_go(gateway: Gateway, business: Business) -> None:
    """After the operator has deleted it, the event is not known, and no report on it is pending."""
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(60), 2),
        intervals=intervals(3),
        reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
    )
    await gateway.start()
    await gateway.knows(1)
    business.delete_event(event)
    await gateway.knows(0)

    assert gateway.status["reports"]["owed"] == 0


async def test_row_39_a_listing_that_fails_half_way_lets_nothing_go(
    gateway: Gateway, business: Business, tap: Tap
) -> None:
    """When the second page is an error, what stood on it is still known; once all pages come, it is not."""
    program = business.add_program()
    events = [
        business.add_event(program, intervalPeriod=period(soon(60), 2), intervals=intervals(1))
        for _ in range(60)
    ]
    gateway.settings["vtn"]["url"] = tap.url
    await gateway.start()
    await gateway.knows(60)
    failed: list[Passed] = []

    def second_page(passed: Passed) -> int | None:
        if passed.path != "/events" or passed.query["skip"] == ["0"]:
            return None
        failed.append(passed)
        return 500

    tap.spoils = second_page
    for event in events[:5]:
        business.delete_event(event)
    await until(lambda: len(failed) >= 3, "second page failed", log=lambda: gateway.log)
    known = gateway.status["events"]["known"]
    tap.spoils = lambda _: None
    await gateway.knows(55)

    assert known == 60


async def test_row_43_prices_and_greenhouse_gas_are_there_now_and_ahead(
    client: VenClient, business: Business, vtn: Vtn
) -> None:
    """PRICE, EXPORT_PRICE and GHG of a schedule come through the VTN with their values and units."""
    now = datetime.now(UTC)
    kinds = {"PRICE": 0.31, "EXPORT_PRICE": 0.07, "GHG": 123.5}
    described: Object = {"payloadDescriptors": PRICES} if vtn.describes_programs else {}
    program = business.add_program(**described)
    events = {
        kind: business.add_event(
            program,
            payloadDescriptors=[{**PRICES[0], "payloadType": kind}],
            intervalPeriod=period(now - HOUR / 2, 3600),
            intervals=intervals(3, kind, [first, first + 1, first + 2]),
        )
        for kind, first in kinds.items()
    }
    for kind, first in kinds.items():
        event = await heard(client, events[kind])
        timeline = line(event)
        said = (event.payload_descriptors or [])[0]

        assert (said.payload_type, said.units, said.currency) == (kind, "KWH", "EUR")
        assert [value(timeline.holding(now + n * HOUR)) for n in range(3)] == [first, first + 1, first + 2]


async def test_row_44_an_alert_comes_with_its_text_and_ends(client: VenClient, business: Business) -> None:
    """An emergency alert is in force with its text, and no longer when its time is over."""
    now = datetime.now(UTC)
    event = business.add_event(
        business.add_program(),
        priority=0,
        intervalPeriod=period(now - timedelta(minutes=5), 600),
        intervals=[
            {"id": 0, "payloads": [{"type": "ALERT_GRID_EMERGENCY", "values": ["Brug mindre strøm nu"]}]}
        ],
    )
    timeline = line(await heard(client, event))

    assert value(timeline.holding(now)) == "Brug mindre strøm nu"
    assert timeline.holding(now + timedelta(minutes=6)) is None
