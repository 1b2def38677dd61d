"""Any object of ours survives the wire, and no JSON of others crashes its reader."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.openadr.codec import KINDS, decode, decode_list, encode
from venclient.openadr.objects import (
    Event,
    Interval,
    IntervalPeriod,
    Point,
    Report,
    ReportDescriptor,
    ReportResource,
    ValuesMap,
    VenResource,
)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
numbers = st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False)
points = st.builds(Point, x=st.floats(-1e6, 1e6), y=st.floats(-1e6, 1e6))
values_maps = st.builds(
    ValuesMap, type=texts, values=st.lists(numbers | texts | st.booleans() | points | st.none(), max_size=4)
)
periods = st.builds(IntervalPeriod, start=st.none() | texts, duration=st.none() | texts)
intervals = st.builds(
    Interval,
    id=st.integers(-(2**31), 2**31),
    interval_period=st.none() | periods,
    payloads=st.lists(values_maps, max_size=3),
)
target_lists = st.none() | st.lists(texts, max_size=3)
events = st.builds(
    Event,
    id=st.none() | texts,
    program_id=texts,
    event_name=st.none() | texts,
    priority=st.none() | st.integers(0, 10),
    targets=target_lists,
    report_descriptors=st.none()
    | st.lists(
        st.builds(ReportDescriptor, payload_type=texts, aggregate=st.booleans(), repeat=st.integers(-1, 5)),
        max_size=2,
    ),
    interval_period=st.none() | periods,
    intervals=st.none() | st.lists(intervals, max_size=4),
)
reports = st.builds(
    Report,
    event_id=texts,
    client_name=texts,
    resources=st.lists(
        st.builds(ReportResource, resource_name=texts, intervals=st.lists(intervals, max_size=3)), max_size=3
    ),
)
resources = st.builds(
    VenResource,
    resource_name=texts,
    ven_id=st.none() | texts,
    attributes=st.none() | st.lists(values_maps, max_size=3),
)


@given(events | reports | resources)
@settings(max_examples=80)
def test_any_object_survives_the_wire(wire: msgspec.Struct) -> None:
    """What is written reads back equal, alone and in a list."""
    assert decode(type(wire), encode(wire)) == wire
    assert decode_list(type(wire), b"[" + encode(wire) + b"]").items == [wire]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "programID", "venName", "intervals", "payloads", "type", "values", "targets", "x", "y"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(KINDS)), json_values)
@settings(max_examples=60)
def test_no_json_crashes_the_reader(kind: str, raw: Any) -> None:
    """Any JSON is read or refused; a list accounts for each of its elements."""
    decoded = decode_list(KINDS[kind], json.dumps([raw, raw]).encode())

    assert len(decoded.items) + len(decoded.refused) == len(decoded.ids) == 2
