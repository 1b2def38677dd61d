"""Baselines and forecasts: known days give known numbers (rows 48, 56)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.reporting.bench import Bench
from tests.reporting.samples import HOUR, event, measured, reportables
from venclient.messages.reporting import STORY_AS, STORY_STORED
from venclient.model.reading import Measure, Quality
from venclient.openadr.objects import Report
from venclient.reporting.baseline import METHOD, LikeDays, like_days, reference
from venclient.reporting.builder import Built, build_report
from venclient.reporting.needs import needs
from venclient.reporting.obligations import Obligation, owed
from venclient.reporting.payloads import BuildOptions

#: A Wednesday; the ten weekdays before it begin on 11 February.
DAY = datetime(2026, 2, 25, tzinfo=UTC)
OPTIONS = BuildOptions(client_name="ven-1", zone=UTC)

Load = Callable[[datetime], float | None]


def obligation(*descriptors: Mapping[str, Any], hour: int = 12, count: int = 2, **members: Any) -> Obligation:
    """Return the one report that an event of that day asks for."""
    start = DAY + hour * HOUR
    one = event(count, *descriptors, start=start.isoformat().replace("+00:00", "Z"), **members)
    (found,) = owed(one, anchor=DAY, first_seen=DAY, after=None, until=DAY + 9 * 24 * HOUR)
    return found


def build(one: Obligation, load: Load, options: BuildOptions = OPTIONS, **members: Any) -> Built:
    """Build with what is needed measured as `load` says, in kW by time; None leaves it out."""
    resources = reportables("hotel")
    measures: dict[tuple[str, datetime, datetime], Measure] = {}
    for need in needs(one, resources, options):
        for id_ in need.resource_ids:
            for start, end in need.grid:
                kw = load(start)
                if kw is not None:
                    measures[id_, start, end] = measured(id_, start, end, kw, **members)
    return build_report(one, resources, measures, options)


def told(report: Report | None) -> list[dict[str, object]]:
    """Return each interval's values by payload type."""
    assert report is not None
    return [{one.type: one.values[0] for one in each.payloads} for each in report.resources[0].intervals]


def before(kw: float, today: float = 0.0) -> Load:
    """Return a load that was `kw` until the event's day, and `today` on it."""
    return lambda moment: kw if moment < DAY else today


def by_age(moment: datetime) -> float:
    """Return as many kW as days before the event's day: 1, 2, 5, 6, 7, 8, 9, 12, 13, 14 on like days."""
    return float((DAY.date() - moment.date()).days)


def test_row_48_usage_ahead_is_the_mean_of_ten_like_days() -> None:
    """A forecast is due at the start, has the values of the baseline, and is declared as a forecast."""
    one = obligation({"historical": False})
    built = build(one, by_age)

    assert one.due == DAY + 12 * HOUR
    # Ten weekdays: 1, 2, 5..9, 12..14 days ago; today's ratio is 0 / 7.7, kept at 0.8.
    assert told(built.report) == [{"USAGE": 7.7 * 0.8}] * 2
    assert built.report is not None
    assert (built.report.payload_descriptors or [])[0].reading_type == "FORECAST"


@pytest.mark.parametrize(("today", "ratio"), [(4.4, 1.1), (40.0, 1.2), (0.4, 0.8), (4.0, 1.0), (-4.0, 1.0)])
def test_row_48_same_day_ratio_is_kept_within_a_fifth(today: float, ratio: float) -> None:
    """What the day has been like so far moves the forecast by at most 20 %."""
    built = build(obligation({"historical": False}), before(4.0, today))

    assert told(built.report)[0] == {"USAGE": pytest.approx(4.0 * ratio)}


def test_row_48_other_days_are_not_moved_by_today() -> None:
    """The same-day ratio counts for the local day of the window's start alone."""
    one = obligation({"historical": False}, hour=23)
    values = [each["USAGE"] for each in told(build(one, before(4.0, 4.4)).report)]

    assert values == [pytest.approx(4.4), pytest.approx(4.0)]


def test_row_48_demand_ahead_is_power() -> None:
    """DEMAND ahead is the mean power, or the mean of the days' peaks."""
    mean = build(obligation({"payloadType": "DEMAND", "historical": False, "units": "W"}), before(4.0, 4.0))
    peak = build(
        obligation({"payloadType": "DEMAND", "historical": False, "readingType": "PEAK"}), before(4.0, 4.0)
    )

    assert told(mean.report)[0] == {"DEMAND": 4000.0}
    assert told(peak.report)[0] == {"DEMAND": 8.0}


@pytest.mark.parametrize(
    "asked",
    [
        {"payloadType": "USAGE_FORECAST"},
        {"payloadType": "USAGE_FORECAST", "historical": False},
        {"payloadType": "USAGE", "readingType": "FORECAST"},
    ],
)
def test_row_56_forecasts_under_their_other_names(asked: dict[str, Any]) -> None:
    """USAGE_FORECAST and the reading type FORECAST ask for the same."""
    built = build(obligation(asked), before(4.0, 4.0))

    assert told(built.report) == [{asked["payloadType"]: 4.0}] * 2
    assert built.report is not None
    assert (built.report.payload_descriptors or [])[0].reading_type == "FORECAST"


def test_row_56_baseline_is_what_would_have_been() -> None:
    """BASELINE looks back from before the event: its own hours do not count, and the method is logged."""
    built = build(obligation({"payloadType": "BASELINE"}), before(4.0, 4.4))

    assert told(built.report)[0] == {"BASELINE": pytest.approx(4.4)}
    assert built.report is not None
    said = (built.report.payload_descriptors or [])[0]
    assert (said.reading_type, said.units) == ("ESTIMATED", "KWH")
    assert METHOD in built.methods[0]


@pytest.mark.parametrize(("units", "value"), [("KW", 4.0), ("WH", 2000.0), ("KWH", 2.0)])
def test_row_55_unit_of_a_baseline_says_energy_or_power(units: str, value: float) -> None:
    """The unit decides between energy over the interval and mean power."""
    one = obligation({"payloadType": "BASELINE", "units": units}, duration="PT30M")

    assert told(build(one, before(4.0, 4.0)).report)[0] == {"BASELINE": value}


def test_row_56_delta_usage_is_against_the_baseline() -> None:
    """DELTA_USAGE is negative where less was drawn than usual."""

    def load(moment: datetime) -> float:
        return 1.0 if moment >= DAY + 12 * HOUR else 4.0

    assert told(build(obligation({"payloadType": "DELTA_USAGE"}), load).report)[0] == {"DELTA_USAGE": -3.0}


def test_row_58_few_like_days_are_flagged_and_fewer_are_missing() -> None:
    """With some days unknown a forecast is ESTIMATED; with less than three it is MISSING."""
    one = obligation({"historical": False})

    def since(days: int) -> Load:
        return lambda moment: 4.0 if moment >= DAY - days * 24 * HOUR else None

    assert told(build(one, since(7)).report)[0] == {"USAGE": 4.0, "DATA_QUALITY": "ESTIMATED"}
    assert told(build(one, since(2)).report)[0] == {"DATA_QUALITY": "MISSING"}


def test_like_days_are_weekdays_or_weekend_days() -> None:
    """Ten weekdays take two weeks, ten weekend days five; the day itself is none of them."""
    weekdays = like_days(DAY.date(), weekend=False)
    weekend = like_days(DAY.date(), weekend=True)

    assert (weekdays[0], weekdays[-1]) == (date(2026, 2, 24), date(2026, 2, 11))
    assert (weekend[0], weekend[-1]) == (date(2026, 2, 22), date(2026, 1, 24))


def test_like_days_keep_the_local_time_of_day() -> None:
    """Over a change of the clock, the same time of day is another hour of UTC."""
    usual = LikeDays(datetime(2026, 3, 31, 6, tzinfo=UTC), ZoneInfo("Europe/Copenhagen"))
    start = datetime(2026, 3, 31, 6, tzinfo=UTC)  # 08:00 in summer time, which began on the 29th

    slots = usual.slots(start, start + HOUR)
    assert [slot[0].hour for slot in slots[:2]] == [6, 7]
    assert all(end - begin == HOUR for begin, end in slots)


def test_reference_is_the_event_unless_it_began_long_ago() -> None:
    """A baseline looks from before the event, a forecast from its window, and so does a year-long tariff."""
    start = DAY + 12 * HOUR
    begins = start - 5 * HOUR

    assert reference(start, begins, forecast=False) == begins
    assert reference(start, begins, forecast=True) == start
    assert reference(start, start - timedelta(days=300), forecast=False) == start
    assert reference(start, None, forecast=False) == start


def test_quality_of_like_days_is_that_of_the_worst() -> None:
    """One estimated day makes the baseline estimated."""
    one = obligation({"historical": False})

    assert (
        told(build(one, before(4.0, 4.0), quality=Quality.ESTIMATED).report)[0]["DATA_QUALITY"] == "ESTIMATED"
    )


async def test_row_48_how_a_forecast_was_made_is_in_the_reports_story(bench: Bench) -> None:
    """The story of a report has the method of values that were not measured."""
    bench.list_events(event(1, {"historical": False}, {"payloadType": "DEMAND", "historical": False}))
    await bench.run_to(0.1)
    (row,) = bench.outbox.newest()
    (sent,) = [one.what for one in bench.outbox.view.story(row.key) if STORY_STORED() in one.what]

    assert sent.startswith(f"{STORY_STORED()} (USAGE, DEMAND: {METHOD}")
    assert sent.endswith("as R0")


async def test_what_was_measured_has_no_method(bench: Bench) -> None:
    """The story of a report of measurements has no method."""
    bench.list_events(event(1, {}))
    await bench.run_to(1.1)
    (row,) = bench.outbox.newest()

    assert STORY_AS(event=STORY_STORED(), report_id="R0") in [
        one.what for one in bench.outbox.view.story(row.key)
    ]
