"""Tests of cutting an obligation into parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reporting.bench import Bench
from tests.reporting.samples import T0, at, event, reportables
from venclient.reporting.obligations import Obligation, owed
from venclient.reporting.parts import LONGEST_NAME, part_name, split
from venclient.reporting.targets import Reportable


def obligation(count: int, *descriptors: dict[str, Any], **members: Any) -> Obligation:
    """Return the one report that an event of `count` hours asks for at its end."""
    found = owed(
        event(count, *descriptors, **members),
        anchor=T0,
        first_seen=T0,
        after=None,
        until=at(count + 1),
    )
    assert len(found) == 1
    return found[0]


def test_what_fits_is_one_part_under_its_own_name() -> None:
    """A report that is small enough stays whole and keeps its name."""
    one = obligation(4, {})
    (part,) = split(one, reportables("a", "b"), most_values=8)
    assert (part.obligation, part.report_name) == (one, one.report_name)
    assert part.resource_ids == ("r1", "r2")


def test_few_resources_are_cut_by_time() -> None:
    """Intervals are gathered until a part is full, in their order."""
    parts = split(obligation(5, {}), reportables("a", "b"), most_values=4)
    assert [[span.id for span in part.obligation.spans] for part in parts] == [[0, 1], [2, 3], [4]]
    assert all(part.resource_ids == ("r1", "r2") for part in parts)


def test_many_resources_are_cut_within_each_interval() -> None:
    """Where one interval is too much, its resources are shared out before the next interval."""
    parts = split(obligation(2, {}), reportables("a", "b", "c"), most_values=2)
    found = [([span.id for span in part.obligation.spans], part.resource_ids) for part in parts]
    assert found == [([0], ("r1", "r2")), ([0], ("r3",)), ([1], ("r1", "r2")), ([1], ("r3",))]


def test_each_payload_type_counts() -> None:
    """Two payload types are two values per interval."""
    parts = split(obligation(4, {}, {"payloadType": "DEMAND"}), reportables("a"), most_values=4)
    assert [len(part.obligation.spans) for part in parts] == [2, 2]


def test_a_sum_is_never_cut_by_resource() -> None:
    """An aggregate needs all its resources in one report, and is cut by time only."""
    parts = split(obligation(3, {"aggregate": True}), reportables("a", "b", "c"), most_values=2)
    assert [part.resource_ids for part in parts] == [("r1", "r2", "r3")] * 3


def test_sums_and_single_values_part_ways() -> None:
    """When both do not fit, each is reported in separate parts, in the order of time."""
    one = obligation(2, {"payloadType": "DEMAND", "aggregate": True}, {})
    parts = split(one, reportables("a", "b"), most_values=2)
    kinds = [[d.payload_type for d in part.obligation.descriptors] for part in parts]
    assert kinds == [["USAGE"], ["DEMAND"], ["USAGE"], ["DEMAND"]]


def test_only_resources_that_are_asked_for_are_in_a_part() -> None:
    """A descriptor's targets restrict which resources are counted and reported."""
    parts = split(obligation(2, {"targets": ["b"]}), reportables("a", "b"), most_values=1)
    assert [part.resource_ids for part in parts] == [("r2",), ("r2",)]


def test_when_nobody_is_asked_for_one_part_remains() -> None:
    """A descriptor that fits no resource is still an obligation, to report that."""
    (part,) = split(obligation(2, {"targets": ["x"]}), reportables("a"), most_values=1)
    assert part.resource_ids == ()


def test_row_53_parts_of_intervals_count() -> None:
    """Each sub-interval is a value, by the resource's own interval."""
    one = obligation(4, {"reportIntervals": "SUB_INTERVALS"})
    slow, fast = Reportable("r1", "a"), Reportable("r2", "b", interval_s=300)
    parts = split(one, [slow, fast], most_values=32)
    assert [len(part.obligation.spans) for part in parts] == [2, 2]


def test_names_are_short_and_differ() -> None:
    """Names of parts are the same each time, at most 128 characters long, and unlike any window's."""
    long = "n" * 127
    names = [part_name(long, number) for number in (1, 2, 1000)]
    assert len(set(names)) == 3
    assert all(len(name) <= LONGEST_NAME for name in names)
    assert part_name("E-1-20260101T000000Z-3600", 2) == "E-1-20260101T000000Z-3600-p2"


def test_parts_are_the_same_each_time() -> None:
    """The same obligation and resources give the same parts."""
    one = obligation(5, {})
    first, again = (split(one, reportables("a", "b"), most_values=3) for _ in range(2))
    assert first == again


@settings(max_examples=40, deadline=None)
@given(
    hours=st.integers(1, 12),
    resources=st.integers(1, 9),
    most=st.integers(1, 40),
    kinds=st.integers(1, 3),
)
def test_every_value_is_in_exactly_one_part(hours: int, resources: int, most: int, kinds: int) -> None:
    """Nothing is lost or reported twice, and no part is larger than it must be."""
    descriptors = [{"payloadType": kind} for kind in ("USAGE", "DEMAND", "READING")[:kinds]]
    parts = split(obligation(hours, *descriptors), reportables(*map(str, range(resources))), most_values=most)
    pairs = [
        (span.start, id_) for part in parts for span in part.obligation.spans for id_ in part.resource_ids
    ]
    assert len(pairs) == len(set(pairs)) == hours * resources
    assert [start for start, _ in pairs if pairs] == [start for start, _ in sorted(pairs, key=lambda o: o[0])]
    for part in parts:
        size = kinds * len(part.obligation.spans) * len(part.resource_ids)
        assert size <= max(most, kinds)
    assert len({part.report_name for part in parts}) == len(parts)


def test_ten_thousand_intervals_of_five_thousand_resources_take_little() -> None:
    """A giant wish becomes a thousand parts that share what they hold in common."""
    one = obligation(10_000, {})
    parts = split(one, [Reportable(f"r{n}", f"n{n}") for n in range(5000)], most_values=50_000)
    assert len(parts) == 1000
    assert len({id(part.resource_ids) for part in parts}) == 1


async def test_what_is_owed_at_once_goes_out_in_small_bodies_by_time(bench: Bench) -> None:
    """A day of many resources is sent in parts of the set size, in order, with every value once."""
    bench.options = replace(bench.options, most_values=10)
    bench.names = tuple(f"n{n}" for n in range(7))
    bench.restart()
    bench.list_events(event(24, {}))
    await bench.run_to(24.1)

    bodies = [
        [
            (part.resource_name, interval.id)
            for part in report.resources
            for interval in part.intervals
            for _ in interval.payloads
        ]
        for report in bench.vtn.stored
    ]
    values = [one for body in bodies for one in body]
    firsts = [min(id_ for _, id_ in body) for body in bodies]
    assert max(map(len, bodies)) <= 10
    assert sorted(values) == sorted((name, hour) for name in bench.names for hour in range(24))
    assert firsts == sorted(firsts)
