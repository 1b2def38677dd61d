"""What an event may ask for is counted before anything is expanded, and the rest is worked off in slices."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.counted import full_count, growth, steps
from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, T0, at, event
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Event
from venclient.openadr.times import format_time
from venclient.reporting.descriptors import MOST_GROUPS
from venclient.reporting.obligations import agenda, agenda_steps
from venclient.reporting.planner import Planner, Round
from venclient.utils import to_the_end

#: In `make proof` these take hours.
UNHURRIED = pytest.mark.timeout(300 if full_count(1) == 1 else 0)
#: Steps of the interpreter between two pauses: some tens of milliseconds on a Pi.
SLICE = 400_000


def decoded(raw: dict[str, Any]) -> Event:
    """Return an event as the codec reads it."""
    return CODEC_31.decode_list(Event, json.dumps([{"id": "E", "programID": "P", **raw}]).encode()).items[0]


def hanging() -> Event:
    """Return the event of 400 bytes that asks for some 10^13 intervals."""
    return decoded(
        {
            "intervalPeriod": {"start": format_time(T0 - timedelta(seconds=100)), "duration": "PT0.001S"},
            "duration": "P1D",
            "reportDescriptors": [
                {
                    "payloadType": "USAGE",
                    "startInterval": 99_999,
                    "numIntervals": 100_000,
                    "frequency": 1,
                    "repeat": -1,
                }
            ],
        }
    )


def rounds(bench: Bench) -> list[int]:
    """Plan everything, and return the steps of the interpreter between each two pauses."""
    planner = Planner(bench.outbox, bench.book, client_name="ven-1")
    found: list[int] = []
    work = planner.steps(Round(), bench.clock.now(), bench.clock.now())
    while True:
        changes: list[Any] = []

        def go(into: list[Any] = changes) -> None:
            into.append(next(work, StopIteration))

        found.append(steps(go))
        if changes[0] is StopIteration:
            return found
        if changes[0]:
            bench.outbox.apply(changes[0])


async def test_event_that_asks_for_too_much_is_refused_unexpanded(bench: Bench) -> None:
    """The descriptor is named with what it comes to; no report is made, and the others are served."""
    bench.list_events(hanging(), event(2, EACH, id_="good"))
    result = await bench.run_to(3)

    assert any("VEN-REP-140" in note or "VEN-REP-141" in note for note in result.notes)
    assert {one.event_id for one in bench.vtn.stored} == {"good"}


HUGE = [
    "9" * 5_000,
    "-" + "9" * 5_000,
    "1" + "0" * 400,
    "9" * 25,
    '"' + "9" * 5_000 + '"',
    "1e400",
    "1E5000",
    '"--5"',
]


@pytest.mark.parametrize("written", HUGE)
@pytest.mark.parametrize("member", ["frequency", "startInterval", "numIntervals", "repeat"])
def test_an_enormous_number_rejects_its_descriptor_alone(member: str, written: str) -> None:
    """The other descriptor and the other event of the listing are read and planned."""
    asked = f'[{{"payloadType": "USAGE", "{member}": {written}}}, {{"payloadType": "USAGE"}}]'
    period = '{"start": "2026-01-01T00:00:00Z", "duration": "PT1H"}'
    bodies = ", ".join(
        f'{{"id": "{name}", "programID": "P", "intervalPeriod": {period}, "priority": {written},'
        f' "intervals": [{{"id": 0, "payloads": []}}], "reportDescriptors": {wanted}}}'
        for name, wanted in (("E1", asked), ("E2", '[{"payloadType": "USAGE"}]'))
    )
    found = CODEC_31.decode_list(Event, f"[{bodies}]".encode())
    assert [one.id for one in found.items] == ["E1", "E2"]

    plan = agenda(found.items[0], None, anchor=T0)
    ignored = [one.reason for one in found.ignored]
    assert all("reportDescriptors[0]" in problem for problem in plan.problems)
    assert plan.problems or any("reportDescriptors[0]" in reason for reason in ignored)
    assert not any("reportDescriptors[1]" in one for one in (*plan.problems, *ignored))
    assert plan.next_due(first_seen=T0, after=None) is not None
    for one in found.items:
        assert CODEC_31.decode(Event, CODEC_31.encode(one)) == one


def test_what_is_refused_costs_the_same_however_much_it_is() -> None:
    """Counting takes the same steps for a day of milliseconds and for a thousand years of them."""

    def work(duration: str) -> Callable[[], object]:
        raw = hanging()
        raw = decoded(
            {
                "intervalPeriod": {"start": "2026-01-01T00:00:00Z", "duration": "PT0.001S"},
                "duration": duration,
                "reportDescriptors": json.loads(CODEC_31.encode(raw))["reportDescriptors"],
            }
        )
        return lambda: agenda(raw, None, anchor=T0)

    work("P1D")()
    assert steps(work("P1000Y")) < 2 * steps(work("P1D"))


@pytest.mark.parametrize(
    "asked",
    [
        {"frequency": 1, "repeat": -1, "numIntervals": 1},
        {"frequency": 60, "repeat": -1, "numIntervals": 1440},
        {"frequency": "PT15M"},
        {"numIntervals": 44_640},
    ],
)
def test_reports_on_minutes_are_no_slip(asked: dict[str, Any]) -> None:
    """Each minute, a day of minutes each hour and a month of minutes in one report are served."""
    one = event(0, asked, intervals=None, duration="PT1M")

    assert agenda(one, None, anchor=T0).problems == ()


def test_resources_count() -> None:
    """What one resource may report is too much for very many."""
    asked = {"frequency": 60, "repeat": -1, "numIntervals": 1440}
    one = event(0, asked, intervals=None, duration="PT1M")

    assert to_the_end(agenda_steps(one, None, anchor=T0, resources=100)).problems == ()
    assert to_the_end(agenda_steps(one, None, anchor=T0, resources=100_000)).problems != ()


async def test_many_events_are_planned_in_slices(bench: Bench) -> None:
    """The work between two pauses is the same for 50 events and for 200."""
    few = [event(4, EACH, id_=f"E{n}") for n in range(50)]
    many = [event(4, EACH, id_=f"F{n}") for n in range(200)]
    bench.book.apply(few, complete=True, now=bench.clock.now())
    longest = max(rounds(bench))
    bench.book.apply(many, complete=True, now=bench.clock.now())

    assert max(rounds(bench)) < min(SLICE, 2 * longest)


@pytest.mark.parametrize("modified", [False, True])
async def test_many_windows_that_fall_due_together_are_planned_in_slices(
    bench: Bench, *, modified: bool
) -> None:
    """A day of reports on the last 49 minutes, one every second minute, is worked off with pauses."""
    asked = {"payloadType": "USAGE", "startInterval": 48, "numIntervals": 49, "frequency": 2, "repeat": -1}
    raw = {"intervalPeriod": {"start": format_time(T0), "duration": "PT1M"}, "reportDescriptors": [asked]}
    bench.list_events(decoded(raw))
    rounds(bench)
    await bench.clock.advance(86_400)
    if modified:
        rounds(bench)
        bench.list_events(decoded({**raw, "priority": 3}))

    assert max(rounds(bench)) < SLICE
    assert len(bench.outbox.of_event("E")) > 300


async def test_many_descriptors_are_planned_in_slices(bench: Bench) -> None:
    """3,000 descriptors that share no report end at the limit, and hold up nothing meanwhile."""
    asked = [{"payloadType": "USAGE", "units": f"U{n}"} for n in range(3000)]
    bench.book.apply([event(4, *asked)], complete=True, now=bench.clock.now())

    assert max(rounds(bench)) < SLICE
    assert len(agenda(event(4, *asked), None, anchor=T0).plans) == MOST_GROUPS


def test_work_of_descriptors_grows_with_their_number() -> None:
    """Four times the descriptors cost four times the steps, whether they share a report or not."""

    def plan(count: int) -> Callable[[], object]:
        asked = [{"payloadType": "USAGE", "units": f"U{n}", "frequency": "PT1H"} for n in range(count)]
        one = event(4, *asked)
        return lambda: agenda(one, None, anchor=T0)

    assert growth(plan, 200) < 6


def test_windows_without_anything_to_tell_end() -> None:
    """An endless event of which a descriptor asks only for cancelled intervals has no due report."""
    intervals = [
        {"id": 0, "intervalPeriod": {"duration": "PT0S"}, "payloads": []},
        {"id": 1, "payloads": []},
    ]
    one = decoded(
        {
            "duration": "P9999Y",
            "intervalPeriod": {"start": format_time(T0), "duration": "PT1H"},
            "intervals": intervals,
            "reportDescriptors": [{"payloadType": "USAGE", "numIntervals": 1, "frequency": 2, "repeat": -1}],
        }
    )
    plan = agenda(one, None, anchor=T0)

    assert plan.next_due(first_seen=at(-1), after=None) is None
    assert plan.next_due(first_seen=at(500), after=at(400)) is None


def test_unplaced_intervals_take_work_that_grows_with_their_number() -> None:
    """Forecasts over intervals without a place look at each of them once."""

    def plan(count: int) -> Callable[[], object]:
        one = decoded(
            {
                "intervals": [{"id": n, "payloads": []} for n in range(count)],
                "reportDescriptors": [
                    {"payloadType": "X", "historical": False, "numIntervals": count, "frequency": 1}
                ],
            }
        )
        return lambda: agenda(one, None, anchor=T0).next_due(first_seen=T0, after=None)

    assert growth(plan, 100) < 6


numbers = st.one_of(st.integers(-2, 5), st.sampled_from([99, 1000, 99_999, 100_000, 10**12]))
lengths = st.sampled_from(
    ["PT0.001S", "PT1S", "PT1M", "PT15M", "PT1H", "P1D", "P1M", "PT0S", "P9999Y", "", "x"]
)
starts = st.sampled_from(
    [
        "2025-12-31T23:58:20Z",
        "2020-01-01T00:00:00Z",
        "0001-01-01",
        "2026-01-01T00:00:00Z",
        "9999-12-31T23:00:00Z",
    ]
)
wide = st.fixed_dictionaries(
    {"payloadType": st.sampled_from(["USAGE", "DEMAND", "BASELINE"])},
    optional={
        **dict.fromkeys(("startInterval", "numIntervals", "frequency", "repeat"), numbers),
        "historical": st.booleans(),
        "units": st.text(max_size=3),
        "targets": st.lists(st.sampled_from(["a", "b"]), max_size=2),
        "aggregate": st.booleans(),
    },
)
#: Repeated to fill an event of up to 64 KiB.
events = st.fixed_dictionaries(
    {"reportDescriptors": st.lists(wide, min_size=1, max_size=6)},
    optional={
        "duration": lengths,
        "intervalPeriod": st.fixed_dictionaries({}, optional={"start": starts, "duration": lengths}),
        "intervals": st.lists(
            st.fixed_dictionaries(
                {"id": st.integers(0, 9), "payloads": st.just([])},
                optional={
                    "intervalPeriod": st.fixed_dictionaries(
                        {}, optional={"start": starts, "duration": lengths}
                    )
                },
            ),
            max_size=6,
        ),
    },
)
MOST_BYTES = 65_536


def filled(raw: dict[str, Any], part: str, more: int) -> dict[str, Any]:
    """Return an event with one of its lists repeated until it has up to `more` bytes."""
    one = dict(raw)
    items = list(one.get(part) or ())
    size = len(json.dumps(one))
    each = max(1, len(json.dumps(items)))
    if items and size < more:
        one[part] = items * (1 + (more - size) // each)
    if part == "reportDescriptors":
        one[part] = [
            {**each, "startInterval": n % 977} if n % 3 else each for n, each in enumerate(one[part])
        ]
    return one


@UNHURRIED
@settings(
    max_examples=15 if full_count(1) == 1 else 10_000,
    deadline=None,
    # A smaller one of such examples takes minutes to find and says no more.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events,
    st.sampled_from(["reportDescriptors", "intervals"]),
    st.sampled_from([0, 2000, 20_000, 65_000]),
    st.booleans(),
)
def test_any_event_of_64_kib_is_planned_in_slices(
    raw: dict[str, Any], part: str, more: int, before: bool
) -> None:
    """Whatever is asked for, the work between two pauses and the memory stay bounded."""
    one = decoded(filled(raw, part, more))
    first_seen = at(-24 if before else 24)
    longest = 0

    def measured(work: Any) -> Any:
        """Run to the end, noting the longest slice; return what it gives."""
        nonlocal longest
        while True:
            ended: list[Any] = []

            def go(into: list[Any] = ended) -> None:
                try:
                    next(work)
                except StopIteration as end:
                    into.append(end.value)

            longest = max(longest, steps(go))
            if ended:
                return ended[0]

    tracemalloc.start()
    try:
        plan = measured(agenda_steps(one, None, anchor=first_seen))
        coming = plan.coming(first_seen=first_seen, after=None)
        for due in islice(coming, 40):
            if due is not None and due.at <= at(100_000):
                measured(plan.expanded(due))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert longest < 2 * SLICE
    assert most < 64 * 2**20


@UNHURRIED
@settings(
    max_examples=6 if full_count(1) == 1 else 600,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events, st.sampled_from(["reportDescriptors", "intervals"]), st.sampled_from([0, 20_000, 65_000]))
def test_any_event_of_64_kib_reaches_the_outbox_in_slices(
    tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any], part: str, more: int
) -> None:
    """Planning into the state file: the loop's slices, each commit and the memory stay bounded."""
    bench = Bench(tmp_path_factory.mktemp("outbox"))
    bench.list_events(decoded(filled(raw, part, more)))
    planner = Planner(bench.outbox, bench.book, client_name="ven-1")
    work = planner.steps(Round(), bench.clock.now(), bench.clock.now())
    slices, commits = [0], [0]
    tracemalloc.start()
    try:
        while True:
            found: list[Any] = []

            def go(into: list[Any] = found) -> None:
                into.append(next(work, StopIteration))

            slices.append(steps(go))
            changes = found[0]
            if changes is StopIteration:
                break
            if changes:
                commits.append(steps(partial(bench.outbox.apply, changes)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        bench.close()
    assert max(slices) < 2 * SLICE
    assert max(commits) < 2 * SLICE
    assert most < 64 * 2**20
