"""Inputs of the kinds that made readings untrue, as Hypothesis strategies named after what went wrong.

Each draws (seconds, value) pairs of one series and what is right about them. Every path that judges readings
is tested with the same inputs.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

#: What a site of this kind draws at most in these inputs, in kW.
P_MAX_KW = 25.0


class Counter(NamedTuple):
    """What a register shows, by second, and the least and most energy in kWh that may be counted of it."""

    points: list[tuple[float, float]]
    least_kwh: float
    most_kwh: float


@st.composite
def counting(draw: st.DrawFn, least: int = 6, most: int = 60) -> tuple[float, list[float]]:
    """Draw the seconds between values and the steps in kWh of a register that counts as it should."""
    step_s = draw(st.sampled_from([10.0, 30.0, 60.0]))
    powers = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=least, max_size=most))
    return step_s, [power_kw * step_s / 3600 for power_kw in powers]


@st.composite
def counter_that_slips_back(draw: st.DrawFn) -> Counter:
    """Draw a register that goes on from a little below its last value, with or without an outage."""
    step_s, before = draw(counting())
    start = draw(st.floats(5, 50_000))
    values = list(accumulate(before, initial=start))
    depth = draw(st.floats(0.001, 0.4)) * min(values[-1], 3.0)
    outage_s = draw(st.sampled_from([step_s, 600.0, 7200.0]))
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=60))
    later = list(accumulate((power * step_s / 3600 for power in after), initial=values[-1] - depth))
    points = [(n * step_s, value) for n, value in enumerate(values)]
    resumed_s = points[-1][0] + outage_s
    points += [(resumed_s + n * step_s, value) for n, value in enumerate(later)]
    used_kwh = (values[-1] - values[0]) + (later[-1] - later[0])
    # Values below the old one may be taken for noise when the register passes it soon.
    return Counter(points, used_kwh - depth, used_kwh)


@st.composite
def counter_that_reads_zero(draw: st.DrawFn) -> Counter:
    """Draw a register that reads zero for a while, from one value to hours of them, and returns."""
    step_s, before = draw(counting())
    values = list(accumulate(before, initial=draw(st.floats(2, 50_000))))
    zeros = draw(st.integers(1, 400))
    outage_s = (zeros + 1) * step_s
    missed_kwh = draw(st.floats(0, P_MAX_KW)) * outage_s / 3600
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=30))
    later = list(accumulate((power * step_s / 3600 for power in after), initial=values[-1] + missed_kwh))
    shown = [*values, *[0.0] * zeros, *later]
    points = [(n * step_s, value) for n, value in enumerate(shown)]
    used_kwh = later[-1] - values[0]
    return Counter(points, used_kwh - missed_kwh, used_kwh)


@st.composite
def counter_that_restarts(draw: st.DrawFn) -> Counter:
    """Draw a register that starts again near zero and goes on counting; the old value is far above."""
    step_s, before = draw(counting())
    values = list(accumulate(before, initial=draw(st.floats(100, 50_000))))
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=30))
    first_kwh = draw(st.floats(0, P_MAX_KW)) * step_s / 3600
    later = list(accumulate((power * step_s / 3600 for power in after), initial=first_kwh))
    points = [(n * step_s, value) for n, value in enumerate([*values, *later])]
    counted_kwh = (values[-1] - values[0]) + (later[-1] - later[0])
    return Counter(points, counted_kwh, counted_kwh + first_kwh)


@st.composite
def counter_that_is_exchanged(draw: st.DrawFn) -> Counter:
    """Draw a register whose meter is exchanged for one that shows far more, or less and not near zero."""
    step_s, before = draw(counting())
    values = list(accumulate(before, initial=draw(st.floats(500, 50_000))))
    start = values[-1] + draw(st.floats(5_000, 1e6))
    if draw(st.booleans()):
        start = values[-1] * draw(st.floats(0.25, 0.9))
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=30))
    later = list(accumulate((power * step_s / 3600 for power in after), initial=start))
    points = [(n * step_s, value) for n, value in enumerate([*values, *later])]
    counted_kwh = (values[-1] - values[0]) + (later[-1] - later[0])
    # The first values of the new meter are doubted, a few more when the gateway restarts then.
    return Counter(points, counted_kwh - (later[5] - later[0]), counted_kwh)


@st.composite
def counter_that_rolls_over(draw: st.DrawFn) -> Counter:
    """Draw a register that passes the end of 16 or 32 bits, the latter with or without a sign."""
    step_s, before = draw(counting(least=12))
    bits, unit_kwh = draw(st.sampled_from([(16, 0.01), (16, 0.1), (32, 0.001), (32, 0.01)]))
    end_kwh = 2.0**bits * unit_kwh
    is_signed = bits == 32 and draw(st.booleans())
    place = draw(st.integers(4, len(before) - 4))
    passed = list(accumulate(before, initial=0.0))
    shift = (end_kwh / 2 if is_signed else end_kwh) - (passed[place] + passed[place + 1]) / 2
    shown = [value + shift for value in passed]
    last = end_kwh / 2 if is_signed else end_kwh
    points = [(n * step_s, value if value < last else value - end_kwh) for n, value in enumerate(shown)]
    return Counter(points, passed[-1], passed[-1])


@st.composite
def counter_with_coarse_steps(draw: st.DrawFn) -> Counter:
    """Draw a register of whole steps that slips back or reads zero for a while."""
    unit_kwh = draw(st.sampled_from([0.001, 0.01, 0.1, 1.0]))
    points, least_kwh, most_kwh = draw(st.one_of(counter_that_slips_back(), counter_that_reads_zero()))
    shown = [(second, int(value / unit_kwh) * unit_kwh) for second, value in points]
    return Counter(shown, least_kwh - 3 * unit_kwh, most_kwh + 2 * unit_kwh)


#: The numbers that stand for "no value" or come of a wrong type, in the type's own unit.
EXTREMES = (
    *(float(2**bits - 1) for bits in (31, 32, 63, 64)),
    *(-float(2**bits) for bits in (31, 63)),
    struct.unpack(">f", b"\x7f\x7f\xff\xff")[0],
    struct.unpack(">f", b"\xff\x7f\xff\xff")[0],
)


@st.composite
def power_without_limit(draw: st.DrawFn) -> tuple[list[tuple[float, float]], set[int]]:
    """Draw the power in kW of a site of P_MAX_KW and the places of values that cannot be meant."""
    powers = draw(st.lists(st.floats(-P_MAX_KW, P_MAX_KW), min_size=4, max_size=40))
    places = draw(st.sets(st.integers(0, len(powers) - 1), min_size=1, max_size=4))
    wrong = st.one_of(
        st.builds(lambda value, digits: value / 10**digits, st.sampled_from(EXTREMES), st.integers(0, 3)),
        st.floats(10_001, 1e30),
        st.floats(-1e30, -10_001),
    )
    for place in sorted(places):
        powers[place] = draw(wrong)
    return [(10.0 * n, value) for n, value in enumerate(powers)], places


NATURAL = {
    "voltage_v": (230.0, st.sampled_from([6553.5, 65535.0, -1.0, 2147483.647])),
    "voltage_l2_v": (400.0, st.sampled_from([6553.5, 23000.0, -3276.8])),
    "state_of_charge_percent": (55.0, st.sampled_from([255.0, 655.35, -1.0])),
    "battery_w": (5000.0, st.sampled_from([2147483647.0, 1.1e7, -21474836.47])),
    "current_a": (400.0, st.sampled_from([6553.5, 65535.0, -3276.8, 2147483.647])),
    "frequency_hz": (50.0, st.sampled_from([655.35, 65.535, 500.0, 5.0, -1.0, 3276.7])),
    "soc_percent": (55.0, st.sampled_from([255.0, 6553.5, -1.0, 101.0, 5500.0])),
    "temperature_c": (21.0, st.sampled_from([-3276.8, 327.67, 6553.5, -273.15])),
    "current_l1_a": (16.0, st.sampled_from([6553.5, 65535.0, -3276.8, 2147483.647])),
    "power_factor": (0.98, st.sampled_from([65.535, 98.0, -3.2768])),
    "reactive_power_kvar": (3.0, st.sampled_from([2147483.647, -2147483.648, 4294967.295])),
    "power_l3_kw": (8.0, st.sampled_from([2147483.647, 32768.0])),
}


@st.composite
def quantity_beyond_its_range(draw: st.DrawFn) -> tuple[str, float, float]:
    """Draw a quantity, a value that it can have, and one that it cannot."""
    quantity = draw(st.sampled_from(sorted(NATURAL)))
    right, wrong = NATURAL[quantity]
    return quantity, right, draw(wrong)


DAY_S = 86_400.0


@st.composite
def impossible_times(draw: st.DrawFn) -> tuple[float, bool]:
    """Draw by how many seconds a live source's time is off, and whether that is beyond the window."""
    wrong = st.one_of(
        st.floats(301, 50 * 365 * DAY_S),
        st.floats(-26 * 365 * DAY_S, -7 * DAY_S - 1),
        st.sampled_from([3600.0, 7200.0, 5 * 365 * DAY_S]),
    )
    right = st.floats(-7 * DAY_S + 1, 299)
    is_wrong = draw(st.booleans())
    return draw(wrong if is_wrong else right), is_wrong


@st.composite
def history_with_impossible_times(draw: st.DrawFn) -> tuple[list[float], set[int]]:
    """Draw the times of a file's rows, in seconds before now, and the places of those that do not fit."""
    step_s = draw(st.sampled_from([10.0, 900.0, 3600.0]))
    start_s = -draw(st.integers(300, 3000)) * DAY_S
    times = [start_s + n * step_s for n in range(draw(st.integers(12, 60)))]
    first = draw(st.integers(3, len(times) - 7))
    count = draw(st.integers(1, 3))
    far_s = draw(st.sampled_from([-20 * 365 * DAY_S, -40 * DAY_S, 40 * DAY_S, 9 * 365 * DAY_S]))
    for n in range(count):
        times[first + n] = times[first] + (far_s if n == 0 else n * step_s)
    return times, set(range(first, first + count))


@st.composite
def time_in_another_unit(draw: st.DrawFn) -> tuple[int | str, str, str]:
    """Draw a time since 1970 as a number or text, the form it has, and another form than that."""
    forms = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
    form, other = draw(st.permutations(sorted(forms)))[:2]
    number = draw(st.integers(1_000_000_000, 4_000_000_000)) * forms[form]
    raw: int | str = str(number) if draw(st.booleans()) else number
    return raw, form, other


@st.composite
def local_time_in_the_spring_gap(draw: st.DrawFn) -> tuple[datetime, datetime, str]:
    """Draw a local time that does not exist, the first moment of the hour left out, and the zone."""
    zone, month, hours = draw(
        st.sampled_from(
            [
                ("Europe/Copenhagen", 3, 1.0),
                ("America/New_York", 3, 1.0),
                ("Australia/Lord_Howe", 10, 0.5),
                ("Europe/Lisbon", 3, 1.0),
            ]
        )
    )
    place = ZoneInfo(zone)
    start = datetime(draw(st.integers(2010, 2036)), month, 1, tzinfo=UTC) - timedelta(days=2)
    instants = (start + timedelta(minutes=30 * n) for n in range(33 * 48 + 1))
    change = next(
        one
        for one in instants
        if one.astimezone(place).utcoffset() != (one - timedelta(seconds=1)).astimezone(place).utcoffset()
    )
    after = change.astimezone(place).replace(tzinfo=None)
    first = after - timedelta(hours=hours)
    inside_s = draw(st.integers(1, int(3600 * hours) - 1))
    return first + timedelta(seconds=inside_s), first, zone


@st.composite
def messages_without_the_value(draw: st.DrawFn) -> tuple[bytes, str]:
    """Draw a payload that does not hold the value at "power", and a name that it holds."""
    name = draw(st.sampled_from(["Power", "power_w", "P", "activePower", "em1"]))
    number = draw(st.floats(-1e4, 1e4))
    shape = draw(st.sampled_from(['{"%s": %s}', '{"%s": %s, "power": null}', '{"%s": {"total": %s}}']))
    return (shape % (name, number)).encode(), name


class Silent(NamedTuple):
    """When the values of a source arrive, in seconds, and how long it is silent after the last."""

    arrivals: list[float]
    silent_for_s: float


@st.composite
def silent_source(draw: st.DrawFn) -> Silent:
    """Draw a source that has its own rhythm and falls silent for at least six of its usual gaps."""
    gap_s = draw(st.sampled_from([1.0, 10.0, 60.0, 900.0, 3600.0, DAY_S]))
    jitter = draw(st.lists(st.floats(0.8, 1.2), min_size=5, max_size=60))
    arrivals = list(accumulate(gap_s * one for one in jitter))
    return Silent(arrivals, draw(st.floats(6, 100)) * max(gap_s, 60.0))


class Page(NamedTuple):
    """What something in front of a server answers to any request."""

    status: int
    headers: dict[str, str]
    body: bytes


@st.composite
def captive_portal(draw: st.DrawFn) -> Page:
    """Draw the page of a network's login, or of a web server that does not know our paths."""
    status = draw(st.sampled_from([200, 201, 202, 203, 302, 307, 401, 403, 404, 409, 422, 500, 502, 511]))
    start = draw(st.sampled_from(["", "\ufeff", "\r\n\t ", "<!-- a comment -->"]))
    kind = draw(
        st.sampled_from(["<!DOCTYPE html><html>", "<HTML>", '<?xml version="1.0"?><html>', "<script>"])
    )
    words = draw(
        st.sampled_from(["Log in", "partial write: dropped=3", "unable to parse", "database not found"])
    )
    padding = draw(st.sampled_from([0, 300, 100_000]))
    body = f"{start}{kind}<head><title>{words}</title></head><body>{'x' * padding}</body></html>"
    headers = {"content-type": draw(st.sampled_from(["text/html", "application/json", "text/plain"]))}
    if status in (302, 307):
        headers["location"] = "http://portal.example/login?next=/"
    return Page(status, headers, body.encode())
