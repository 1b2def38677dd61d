"""Which reports are due, and when: the diagrams of User Guide 7.5 as tables (rows 47 to 53, 59)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.counted import growth
from tests.reporting.samples import EACH, HOUR, T0, at, event, names_of, windows
from venclient.messages import code_of
from venclient.openadr.objects import Event, PayloadDescriptor, Program
from venclient.reporting.descriptors import is_request
from venclient.reporting.obligations import Obligation, ToldTime, agenda, owed

BEFORE = T0 - timedelta(days=1)
LATER = T0 + timedelta(days=400)


def all_of(one: Event, *, first_seen: datetime = BEFORE, until: datetime = LATER) -> list[Obligation]:
    """Return all reports of an event until far beyond its end."""
    return owed(one, anchor=T0, first_seen=first_seen, after=None, until=until)


@pytest.mark.parametrize(
    ("name", "count", "descriptor", "expected"),
    [
        ("row 47 default", 4, {}, [([0, 1, 2, 3], 4)]),
        ("row 48 forecast", 4, {"historical": False}, [([0, 1, 2, 3], 0)]),
        (
            "row 48 periodic forecast",
            4,
            {"historical": False, "startInterval": 0, "numIntervals": 2, "frequency": 2, "repeat": -1},
            [([0, 1], 0), ([2, 3], 2)],
        ),
        (
            "row 49 periodic",
            6,
            {"startInterval": 1, "numIntervals": 2, "frequency": 2, "repeat": 3},
            [([0, 1], 2), ([2, 3], 4), ([4, 5], 6)],
        ),
        ("row 49 subset", 6, {"startInterval": 1, "numIntervals": 3}, [([1, 2, 3], 4)]),
        ("row 49 last five of ten", 10, {"startInterval": 5}, [([5, 6, 7, 8, 9], 10)]),
        (
            "row 49 rolling",
            5,
            {"numIntervals": 3, "frequency": 1, "repeat": -1},
            [([0, 1, 2], 3), ([1, 2, 3], 4), ([2, 3, 4], 5)],
        ),
        ("row 49 each interval", 3, EACH, [([0], 1), ([1], 2), ([2], 3)]),
        (
            "row 49 clipped at the end",
            5,
            {"numIntervals": 2, "frequency": 2, "repeat": -1},
            [([0, 1], 2), ([2, 3], 4), ([4], 5)],
        ),
        ("row 49 the last two", 5, {"numIntervals": 2}, [([3, 4], 5)]),
        ("row 49 more than there are", 2, {"numIntervals": 9}, [([0, 1], 2)]),
        (
            "row 49 since the last report",
            4,
            {"frequency": 2, "repeat": -1},
            [([0, 1], 2), ([2, 3], 4)],
        ),
        ("row 49 repeat ends first", 6, {**EACH, "repeat": 2}, [([0], 1), ([1], 2)]),
        (
            "row 49 repeat without frequency",
            4,
            {"numIntervals": 2, "repeat": -1},
            [([0, 1], 2), ([2, 3], 4)],
        ),
        (
            "row 49 with holes",
            5,
            {"startInterval": 0, "numIntervals": 1, "frequency": 3, "repeat": -1},
            [([0], 1), ([3], 4)],
        ),
        ("no report wanted", 4, {"repeat": 0}, []),
    ],
)
def test_row_49_windows_of_the_user_guides_diagrams(
    name: str, count: int, descriptor: dict[str, Any], expected: list[tuple[list[int], float]]
) -> None:
    """Each combination of startInterval, numIntervals, frequency and repeat gives its windows."""
    assert expected == windows(all_of(event(count, descriptor)))


def test_row_50_implied_intervals_are_forecast_hourly_for_three_days() -> None:
    """Without intervals and end, a 48-hour window is due at each hour, without limit."""
    one = event(
        0,
        {"startInterval": 0, "numIntervals": 48, "historical": False, "frequency": 1, "repeat": -1},
        intervals=None,
    )
    found = windows(all_of(one, until=at(72)))

    assert [float(hour) for hour in range(73)] == [due for _, due in found]
    assert list(range(3, 51)) == found[3][0]


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        ({}, [([0], 1)]),
        ({"repeat": -1}, [([0], 1), ([1], 2), ([2], 3)]),
        ({"frequency": 2, "repeat": -1}, [([0, 1], 2)]),
    ],
)
def test_row_50_all_of_an_endless_grid_means_one_frequency(
    descriptor: dict[str, Any], expected: list[tuple[list[int], float]]
) -> None:
    """numIntervals -1 on an endless grid is one frequency, else one interval."""
    one = event(0, descriptor, intervals=None)

    assert expected == windows(all_of(one, until=at(3)))


def test_row_51_index_goes_on_over_loops() -> None:
    """A looping event has windows across its loops, with the ids of the written intervals."""
    one = event(2, {"numIntervals": 3, "repeat": -1})
    looped = msgspec.structs.replace(one, duration="PT6H")

    assert windows(all_of(looped)) == [([0, 1, 0], 3), ([1, 0, 1], 6)]


def test_row_51_endless_loop_of_a_tariff_is_planned_at_once_years_on() -> None:
    """What falls due in an hour ten years on does not cost ten years of windows."""
    one = msgspec.structs.replace(event(24, EACH), duration="P9999Y")
    far = T0 + timedelta(days=3650)
    found = owed(one, anchor=T0, first_seen=BEFORE, after=far, until=far + HOUR)

    assert [[span.id for span in obligation.spans] for obligation in found] == [[0]]
    assert [far + HOUR] == [obligation.due for obligation in found]


def test_row_59_late_join_owes_the_newest_window_at_once() -> None:
    """Of windows that ended before the event was first seen only the newest is due, at that moment."""
    found = windows(all_of(event(6, EACH), first_seen=at(3.25)))

    assert found == [([2], 3.25), ([3], 4), ([4], 5), ([5], 6)]


def test_row_59_late_join_is_per_group_of_descriptors() -> None:
    """Each timing sends its own newest window."""
    one = event(6, EACH, {"payloadType": "DEMAND", "numIntervals": 2, "frequency": 2, "repeat": -1})

    assert windows(all_of(one, first_seen=at(5.5))) == [([4], 5.5), ([2, 3], 5.5), ([5], 6), ([4, 5], 6)]


def test_row_59_event_that_is_over_owes_its_last_report() -> None:
    """An event that was over when first seen still gets one report."""
    assert windows(all_of(event(3, {}), first_seen=at(30))) == [([0, 1, 2], 30)]


def test_row_30_windows_of_a_now_event_follow_its_anchor() -> None:
    """The windows of an event that starts now begin at its anchor."""
    one = event(2, EACH, start="0001-01-01T00:00:00Z")

    assert windows(all_of(one)) == [([0], 1), ([1], 2)]


def test_row_32_cancelled_intervals_owe_nothing() -> None:
    """Intervals of no length are not reported."""
    assert all_of(event(3, {}, EACH, duration="PT0S")) == []


def test_cancelled_interval_is_left_out_of_its_window() -> None:
    """A cancelled interval among others leaves the rest of the window."""
    one = event(0, {}, intervals=[{"id": 1, "payloads": []}, {"id": 2, "payloads": []}])
    assert one.intervals is not None
    raw = msgspec.to_builtins(one)
    raw["intervals"][1]["intervalPeriod"] = {"duration": "PT0S"}

    assert windows(all_of(msgspec.convert(raw, Event))) == [([1], 1)]


def test_interval_that_never_ends_owes_no_history() -> None:
    """What never ends is never due, and does not hang the search."""
    assert all_of(event(1, {}, EACH, duration="P9999Y")) == []


def test_overlapping_intervals_are_due_when_the_last_of_a_window_ends() -> None:
    """Intervals that step back in time give windows in the order of their due times."""
    raw = msgspec.to_builtins(event(2, EACH))
    raw["intervals"][0]["intervalPeriod"] = {"start": "2026-01-01T05:00:00Z"}
    raw["intervals"][1]["intervalPeriod"] = {"start": "2026-01-01T00:00:00Z"}

    assert windows(all_of(msgspec.convert(raw, Event))) == [([1], 1), ([0], 6)]


def test_row_47_equal_timing_shares_one_report() -> None:
    """Payload types of equal timing share a report; other timings have separate ones."""
    found = all_of(event(2, {}, {"payloadType": "DEMAND"}, {"payloadType": "READING", "numIntervals": 1}))
    asked = [[one.payload_type for one in obligation.descriptors] for obligation in found]

    assert asked == [["USAGE", "DEMAND"], ["READING"]]
    assert len(set(names_of(found))) == 2


def test_one_payload_type_in_several_units_is_told_apart() -> None:
    """Readings of voltage, power and reactive power are due in separate reports."""
    units = ({"payloadType": "READING", "units": unit} for unit in ("VOLTS", "KW", "KVAR"))
    found = all_of(event(2, *units))

    assert [[one.units for one in each.descriptors] for each in found] == [["VOLTS"], ["KW"], ["KVAR"]]
    assert len(set(names_of(found))) == 3


def test_row_27_program_supplies_missing_units() -> None:
    """A descriptor without units takes those of the program's report payload descriptor."""
    program = Program(
        program_name="p",
        payload_descriptors=[
            PayloadDescriptor(object_type="EVENT_PAYLOAD_DESCRIPTOR", payload_type="USAGE", units="X"),
            PayloadDescriptor(object_type="REPORT_PAYLOAD_DESCRIPTOR", payload_type="USAGE", units="WH"),
        ],
    )
    found = owed(event(1, {}), program, anchor=T0, first_seen=BEFORE, after=None, until=LATER)

    assert found[0].descriptors[0].units == "WH"


@pytest.mark.parametrize(
    ("descriptor", "said"),
    [
        ({"frequency": "often"}, "VEN-REP-008"),
        ({"frequency": -3}, "VEN-REP-004"),
        ({"startInterval": -2}, "VEN-REP-004"),
        ({"numIntervals": 0}, "VEN-REP-004"),
        ({"repeat": -5}, "VEN-REP-004"),
        ({"startInterval": 7}, "VEN-REP-006"),
    ],
)
def test_row_52_descriptor_that_cannot_be_served_is_named(descriptor: dict[str, Any], said: str) -> None:
    """A descriptor that means nothing, or asks for what is not made, is named; the others are served."""
    plan = agenda(event(2, descriptor, EACH), None, anchor=T0)

    assert code_of(plan.problems[0]) == said
    assert "reportDescriptors[0] (USAGE)" in plan.problems[0]
    assert len(plan.plans) == 1


def test_names_are_stable_short_and_differ_between_clients() -> None:
    """The same window has the same name each time; another client's differs; 128 characters at most."""
    one = event(3, EACH, id_="e" * 128, start="2026-01-01T00:00:00.123456Z")
    first, again = names_of(all_of(one)), names_of(all_of(one))
    other = owed(one, anchor=T0, first_seen=BEFORE, after=None, until=LATER, client_name="b")

    assert first == again
    assert len({*first, *names_of(other)}) == 6
    assert all(len(name) <= 128 for name in first)


def test_obligation_survives_json() -> None:
    """An obligation comes back from its JSON as it was."""
    one = all_of(event(2, {"targets": ["a"], "units": "KWH"}))[0]

    assert one == msgspec.json.decode(msgspec.json.encode(one), type=Obligation)


def test_told_time_looks_at_every_interval() -> None:
    """A window is covered when reports cover all of its time, however they cut it."""
    whole = all_of(event(4, {}))[0]
    singles = all_of(event(4, EACH))

    assert ToldTime(singles).covers(whole)
    assert ToldTime([whole]).covers(singles[2])
    assert not ToldTime(singles[:3]).covers(whole)
    assert not ToldTime([singles[0], singles[2]]).covers(singles[1])


descriptors = st.fixed_dictionaries(
    {
        "startInterval": st.integers(-1, 8),
        "numIntervals": st.sampled_from([-1, 1, 2, 3, 5, 9]),
        "frequency": st.sampled_from([-1, 1, 2, 3, 7]),
        "repeat": st.sampled_from([-1, 0, 1, 2, 5]),
        "historical": st.booleans(),
    }
)
events = st.builds(
    lambda count, descriptor, more, whole: msgspec.structs.replace(
        event(count, descriptor, more), duration=whole
    ),
    st.integers(1, 9),
    descriptors,
    descriptors,
    st.sampled_from([None, "PT5H", "PT20H", "PT90M"]),
)


@settings(max_examples=150, deadline=None)
@given(events, st.integers(-2, 25), st.lists(st.integers(-30, 300), max_size=5))
def test_parts_in_time_make_up_the_whole(one: Event, seen: int, cuts: list[int]) -> None:
    """However the time is cut, the pieces give each obligation once, in order of due time."""
    first_seen = at(seen)
    whole = owed(one, anchor=T0, first_seen=first_seen, after=None, until=at(100))
    edges = [None, *(at(cut / 10) for cut in sorted(cuts)), at(100)]
    pieces = [
        part
        for after, until in itertools.pairwise(edges)
        for part in owed(one, anchor=T0, first_seen=first_seen, after=after, until=until or at(100))
    ]

    assert sorted(names_of(whole)) == sorted(names_of(pieces))
    assert [part.due for part in pieces] == sorted(part.due for part in whole)
    assert all(first_seen <= part.due for part in whole)


@settings(max_examples=150, deadline=None)
@given(events)
def test_windows_are_finite_in_place_and_never_the_same(one: Event) -> None:
    """A finite event has finitely many windows, none twice, each within the event, due at its edge."""
    found = all_of(one)
    end = agenda(one, None, anchor=T0).timeline.end

    assert len(found) <= 2 * 20
    assert len(found) == len(set(names_of(found)))
    assert end is not None
    for obligation in found:
        assert T0 <= obligation.start < obligation.end <= end
        historical = obligation.descriptors[0].historical
        assert (obligation.end if historical else obligation.start) == obligation.due


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 3))
def test_windows_as_long_as_their_frequency_tell_each_interval_once(count: int, n: int, start: int) -> None:
    """Without overlap by design no interval is reported twice, and none after the first is left out."""
    one = event(count, {"startInterval": start, "numIntervals": n, "frequency": n, "repeat": -1})
    ids = [span.id for obligation in all_of(one) for span in obligation.spans]

    assert ids == sorted(set(ids))
    assert ids == list(range(ids[0], count)) if ids else start >= count


def test_next_due_tells_when_to_look_again() -> None:
    """The next due time follows what was planned; None when nothing is left."""
    plan = agenda(event(2, EACH), None, anchor=T0)

    assert at(1) == plan.next_due(first_seen=BEFORE, after=None)
    assert at(2) == plan.next_due(first_seen=BEFORE, after=at(1))
    assert plan.next_due(first_seen=BEFORE, after=at(2)) is None
    assert at(1.5) == plan.next_due(first_seen=at(1.5), after=None)


def test_time_zones_do_not_matter_to_names() -> None:
    """A start written with an offset names the same windows."""
    here = all_of(event(2, EACH))
    there = all_of(event(2, EACH, start="2026-01-01T01:00:00+01:00"))

    assert names_of(here) == names_of(there)
    assert here[0].due.tzinfo == UTC


def test_intervals_at_the_same_time_are_told_apart_by_name() -> None:
    """Where intervals overlap, windows over the same time are reports of their own."""
    hour = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H"}
    twice: list[dict[str, Any]] = [{"id": n, "intervalPeriod": hour, "payloads": []} for n in (0, 1)]
    one = event(0, EACH, intervals=twice)
    found = all_of(one)

    assert windows(found) == [([0], 1.0), ([1], 1.0)]
    assert len(set(names_of(found))) == 2
    assert names_of(found) == names_of(all_of(one))


@pytest.mark.parametrize(
    ("period", "duration", "asks"),
    [
        ({"start": "0001-01-01", "duration": "PT0S"}, None, False),
        ({"start": "0001-01-01T00:00:00Z", "duration": "P0D"}, "PT0S", False),
        ({"start": "2026-01-01T00:00:00Z", "duration": "PT0S"}, None, False),
        ({"duration": "PT0S"}, None, True),
        ({"start": "2026-01-01T00:00:00Z", "duration": "PT0S"}, "P1D", True),
        (None, None, True),
    ],
)
def test_row_32_a_grid_that_is_called_off_owes_nothing(
    period: dict[str, str] | None, duration: str | None, asks: bool
) -> None:
    """A start with PT0S ends an event that had a length; without a start there is none to call off."""
    one = event(0, EACH, {"frequency": 0}, intervals=None, intervalPeriod=period)
    plan = agenda(msgspec.structs.replace(one, duration=duration), None, anchor=T0, cancelled=True)

    assert plan.plans == ()
    assert bool(plan.at_will) is asks


def test_row_32_a_dated_period_of_no_length_is_named() -> None:
    """PT0S at a date may be a mistake in the event, and is reported; a proper cancellation is not."""
    slip = event(0, EACH, intervals=None, duration="PT0S")
    proper = event(0, EACH, intervals=None, duration="PT0S", start="0001-01-01")

    assert "no length (PT0S)" in agenda(slip, None, anchor=T0).problems[-1]
    assert agenda(proper, None, anchor=T0, cancelled=True).problems == ()


@pytest.mark.parametrize("start", ["2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"])
def test_row_32_dated_intervals_of_no_length_are_named_too(start: str) -> None:
    """No report is due for intervals of PT0S, and that is logged."""
    dated = {"start": start, "duration": "PT0S"}
    own = [{"id": 0, "intervalPeriod": dated, "payloads": []}]
    for one in (event(1, EACH, intervalPeriod=dated), event(0, EACH, intervals=own, intervalPeriod=None)):
        plan = agenda(one, None, anchor=T0)
        assert (plan.plans, plan.at_will) == ((), ())
        assert "no length (PT0S)" in plan.problems[-1]


@pytest.mark.parametrize("zero", ["PT0S", "PT0H", "P0D"])
def test_row_52_a_request_may_have_its_start_in_its_intervals(zero: str) -> None:
    """Without intervalPeriod an event begins with its first interval, also when that is "now"."""
    own = [
        {"id": 0, "intervalPeriod": {"start": "0001-01-01", "duration": zero}, "payloads": []},
        {"id": 1, "intervalPeriod": {"duration": zero}, "payloads": []},
    ]
    plan = agenda(event(0, EACH, intervals=own, intervalPeriod=None), None, anchor=T0)

    assert (plan.plans, plan.problems) == ((), ())
    assert len(plan.at_will) == 1


@pytest.mark.parametrize("intervals", [None, [], [{"id": 0, "payloads": []}]])
@pytest.mark.parametrize("start", ["0001-01-01", "0001-01-01T00:00:00Z", "0000-00-00"])
@pytest.mark.parametrize("frequency", [{}, {"frequency": 0}, EACH])
def test_row_52_an_event_that_arrives_without_length_is_a_request(
    intervals: list[Any] | None, start: str, frequency: dict[str, Any]
) -> None:
    """It is answered at once about the 15 minutes before, then every 15 minutes until cancelled."""
    one = event(0, frequency, intervals=intervals, start=start, duration="PT0H")
    plan = agenda(one, None, anchor=T0)
    ((_, life),) = plan.at_will

    assert (plan.plans, plan.problems, plan.begins) == ((), (), T0)
    assert life.next_cut(life.first_untold(T0)) == T0
    assert agenda(one, None, anchor=T0, cancelled=True).at_will == ()


@pytest.mark.parametrize("change", [{"start": "2026-01-01T00:00:00Z"}, {"duration": "PT1H"}, {"asks": False}])
def test_row_52_only_a_start_now_without_length_that_asks_for_reports_is_a_request(
    change: dict[str, Any],
) -> None:
    """A date, a length, or nothing to report make it an event like others."""
    asks = change.pop("asks", True)
    members = {"start": "0001-01-01", "duration": "PT0H", "intervals": None} | change
    assert not is_request(event(0, *([{}] if asks else []), **members))


def test_reported_time_of_many_reports_is_searched_in_proportion_to_their_number() -> None:
    """Whether time is reported already takes steps proportional to the number of windows."""

    def cover(count: int) -> Callable[[], object]:
        hours = all_of(event(count, EACH), until=T0 + timedelta(hours=count + 1))
        assert len(hours) == count

        def work() -> None:
            covered = ToldTime(hours)
            assert all(covered.covers(one) for one in hours)

        return work

    assert growth(cover, 250) < 6
