"""Events as others write them: published examples and nonsense are planned without an exception."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reporting.samples import T0, at, event
from venclient.openadr.codec import decode
from venclient.openadr.objects import Event
from venclient.reporting.descriptors import MOST_INTERVALS
from venclient.reporting.obligations import agenda


def plan(one: Event) -> list[str]:
    """Plan an event, compute its first reports, and return its problems."""
    made = agenda(one, None, anchor=T0)
    until = at(24 * 400)
    for first_seen in (T0 - timedelta(days=9999), T0, until):
        list(islice(made.falling_due(first_seen=first_seen, after=None, until=until), 50))
        made.next_due(first_seen=first_seen, after=at(5))
    made.timeline.holding(at(3))
    return list(made.problems)


def test_published_events_are_planned(shared: Path) -> None:
    """Every event of the collected examples is planned, or its problems are named."""
    examples = json.loads((shared / "openadr" / "examples.json").read_text())
    events = [decode(Event, one["object"]) for one in examples if one["kind"] == "event"]

    assert len(events) > 20
    assert all(isinstance(problem, str) for one in events for problem in plan(one))


@pytest.mark.parametrize("historical", [True, False])
def test_absurd_number_of_intervals_is_refused(historical: bool) -> None:
    """A window of a thousand million intervals is named, and does not hold up the gateway."""
    one = event(0, {"numIntervals": 10**9, "historical": historical}, intervals=None)

    assert str(MOST_INTERVALS) in plan(one)[0]


def test_all_of_a_century_of_seconds_is_refused() -> None:
    """The default descriptor on a finite but absurd grid is named as well."""
    one = event(0, {}, intervals=None, duration="PT1S")
    whole = msgspec.structs.replace(one, duration="P100Y")

    assert str(MOST_INTERVALS) in plan(whole)[0]


texts = st.sampled_from(
    [
        "PT1H",
        "PT0S",
        "-PT1H",
        "P9999Y",
        "P1M",
        "PT0.5S",
        "",
        "x",
        "0001-01-01",
        "2026-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2025-12-31T23:00:00+14:00",
        "0000-00-00",
    ]
)
periods = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={"start": texts, "duration": texts, "randomizeStart": texts}),
)
numbers = st.sampled_from([-2, -1, 0, 1, 2, 3, 1000, 10**12])
descriptors = st.fixed_dictionaries(
    {"payloadType": st.just("USAGE"), "historical": st.booleans()},
    optional=dict.fromkeys(("startInterval", "numIntervals", "frequency", "repeat"), numbers),
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.none(), st.lists(periods, max_size=4)),
    periods,
    st.one_of(st.none(), texts),
    st.lists(descriptors, max_size=3),
)
def test_nonsense_is_named_and_never_raises(
    intervals: list[Any] | None, period: Any, duration: str | None, asked: list[Any]
) -> None:
    """Whatever periods, durations and descriptors say, planning ends, and quickly."""
    raw: dict[str, Any] = {
        "id": "E",
        "programID": "P",
        "duration": duration,
        "intervalPeriod": period,
        "reportDescriptors": asked,
        "intervals": None
        if intervals is None
        else [{"id": 0, "intervalPeriod": one, "payloads": []} for one in intervals],
    }
    plan(msgspec.convert(raw, Event))
