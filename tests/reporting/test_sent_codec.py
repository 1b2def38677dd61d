"""The stored form of sent reports gives back exactly what was sent."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reporting.samples import EACH, T0, at, event, measures_of, reportables
from venclient.openadr.objects import (
    Interval,
    IntervalPeriod,
    Report,
    ReportPayloadDescriptor,
    ReportResource,
    ValuesMap,
)
from venclient.reporting.builder import build_report
from venclient.reporting.obligations import Obligation, agenda
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.sent_codec import Sent, Unsaid, decode, encode


def windows(count: int, duration: str = "PT1H") -> list[Obligation]:
    """Return the reports on an event of `count` intervals."""
    asked = agenda(event(count, EACH, duration=duration), None, anchor=T0)
    return list(asked.falling_due(first_seen=T0, after=None, until=at(9)))


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.booleans(), words, st.none())
payloads = st.builds(ValuesMap, type=words, values=st.lists(values, max_size=3))
periods = st.none() | st.builds(IntervalPeriod, start=st.none() | words, duration=st.none() | words)
intervals = st.builds(
    Interval,
    id=st.integers(-(2**31), 2**31),
    interval_period=periods,
    payloads=st.lists(payloads, max_size=3),
)
parts = st.builds(
    ReportResource, resource_name=words, interval_period=periods, intervals=st.lists(intervals, max_size=3)
)
descriptors = st.builds(
    ReportPayloadDescriptor, payload_type=words, units=st.none() | words, reading_type=st.none() | words
)
reports = st.builds(
    Report,
    event_id=words,
    client_name=words,
    report_name=st.none() | words,
    payload_descriptors=st.none() | st.lists(descriptors, max_size=2),
    resources=st.lists(parts, max_size=3),
)
unsaid = st.builds(Unsaid, words, words, st.integers(0, 1000), words)
sents = st.builds(
    Sent,
    report=reports,
    obligation=st.sampled_from([None, *windows(2)]),
    methods=st.lists(words, max_size=2).map(tuple),
    unsaid=st.lists(unsaid, max_size=2).map(tuple),
    program=words,
    percent_of_full=st.sampled_from([1.0, 100.0]),
    ven_targets=st.lists(words, max_size=2).map(tuple),
)


@given(sents)
def test_what_is_stored_is_what_was_sent(sent: Sent) -> None:
    """Every value, name and time comes back, and with them the very same bytes for the VTN."""
    back = decode(encode(sent))

    assert msgspec.json.encode(back) == msgspec.json.encode(sent)


@given(st.binary(max_size=300))
def test_what_nobody_stored_is_an_error_of_one_kind(raw: bytes) -> None:
    """Damaged bytes raise ValueError and nothing else."""
    for damaged in (raw, b"\x01" + raw):
        try:
            decode(damaged)
        except ValueError:
            continue


@given(sents, st.data())
def test_a_damaged_body_is_never_a_crash(sent: Sent, data: st.DataObject) -> None:
    """A flipped bit gives a ValueError, or a report; no other exception."""
    raw = bytearray(encode(sent))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decode(bytes(raw))
    except ValueError:
        return


@pytest.mark.parametrize(("count", "most"), [(1, 200), (2_000, 40_000)])
def test_a_body_takes_little_room(count: int, most: int) -> None:
    """One value takes 200 bytes with all around it; many take less than 20 bytes each."""
    one = windows(1, "PT15M")[0]
    names = [f"Site {n} Herning" for n in range(count)]
    kw = {f"r{n}": 0.1 + n * 0.377 % 20 for n in range(1, count + 1)}
    built = build_report(one, reportables(*names), measures_of(one, kw), BuildOptions(client_name="ven-1"))
    assert built.report is not None

    assert len(encode(Sent(report=built.report, obligation=one, program="P1"))) <= most
