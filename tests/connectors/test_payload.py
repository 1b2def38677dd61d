"""What payloads say: paths, numbers, units and times, without a broker."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codes import raises_code
from tests.kinds import local_time_in_the_spring_gap, time_in_another_unit
from venclient.connectors.payload import (
    ABSENT,
    PLAIN_KW,
    Decoded,
    PayloadDecoder,
    TimeOptions,
    ValueOptions,
    find,
    number_of,
    parse_path,
)
from venclient.connectors.payload_keys import example_for, keys_of, path_text
from venclient.connectors.timestamps import in_order, nearest, time_mistakes, time_reader, zone_of
from venclient.connectors.units import scaling_for, value_mistakes
from venclient.messages import Text, code_of, text_of, with_code

ARRIVAL = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
POWER = ValueOptions(quantity="power_kw", path="P", unit="W")

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def decode(payload: bytes | str, *values: ValueOptions, time: TimeOptions | None = None) -> Decoded:
    """Decode one payload that arrives at ARRIVAL."""
    raw = payload.encode() if isinstance(payload, str) else payload
    return PayloadDecoder(values or (PLAIN_KW,), time or TimeOptions()).decode(raw, ARRIVAL)


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Return every node of a document with its path."""
    found = [(path, document)]
    if isinstance(document, dict):
        found += [leaf for key, value in document.items() for leaf in leaves(value, (*path, key))]
    elif isinstance(document, list):
        found += [leaf for index, value in enumerate(document) for leaf in leaves(value, (*path, index))]
    return found


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_every_node_is_found_by_its_json_pointer(document: Any) -> None:
    """A JSON pointer with escapes leads to the node that it names."""
    for path, value in leaves(document):
        pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
        assert find(document, parse_path(pointer)) is value


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_every_node_is_found_by_its_bracketed_path(document: Any) -> None:
    """A path of quoted keys and indices leads to the node that it names, whatever the keys hold."""
    for path, value in leaves(document):
        text = "".join(
            f"[{step}]"
            if isinstance(step, int)
            else '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
            for step in path
        )
        assert find(document, parse_path(text)) is value


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    """No path crashes the parser."""
    with suppress(ValueError):
        assert isinstance(parse_path(text), tuple)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("value", ("value",)),
        ("ENERGY.Power", ("ENERGY", "Power")),
        ('params["em1:0"].act_power', ("params", "em1:0", "act_power")),
        ("a[0].b[12]", ("a", 0, "b", 12)),
        ("['a.b']", ("a.b",)),
        ("/ENERGY/Power", ("ENERGY", "Power")),
        ("/", ("",)),
        ("/a~1b/~0/0", ("a/b", "~", "0")),
        ("em1:0.power", ("em1:0", "power")),
    ],
)
def test_paths_in_both_notations(text: str, steps: tuple[str | int, ...]) -> None:
    """Dotted paths and JSON pointers give the steps that they spell."""
    assert parse_path(text) == steps


@pytest.mark.parametrize("text", [".a", "a.", "a..b", "a[", "a[x]", "a[-1]", '["a"]b', "/a~2", 'a["b]'])
def test_a_broken_path_says_where_it_breaks(text: str) -> None:
    """A path that cannot be read is refused, naming it."""
    with raises_code(ValueError, "VEN-CON-060" if "~" in text else "VEN-CON-061") as caught:
        parse_path(text)
    assert text in str(caught.value)


def test_absent_paths_are_absent_wherever_they_end() -> None:
    """Missing keys, short lists and steps into plain values are all just absent."""
    document = {"a": {"b": 1}, "l": [1]}
    for text in ("x", "a.x", "a.b.c", "l[1]", "/l/01", "/l/-", "a[0]", "l.x"):
        assert find(document, parse_path(text)) is ABSENT, text


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_as_text_and_as_json(value: float) -> None:
    """A float comes back the same from its plain text, its JSON and its JSON string."""
    for payload in (repr(value), json.dumps(value), json.dumps(repr(value))):
        assert decode(payload) == Decoded((("power_kw", value),))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_give_finite_values_or_a_reason(payload: bytes) -> None:
    """No payload crashes the decoder, and no value is NaN or infinite."""
    for values in ((PLAIN_KW,), (POWER,)):
        found = decode(payload, *values)
        assert all(math.isfinite(value) for _, value in found.values)
        assert not (found.values and found.reasons)


@pytest.mark.parametrize(
    "payload", ["", "  ", "null", '{"P": null}', '{"P": ""}', "{}", '{"Q": 5}', "[]", '{"P1": {"P": 1}}']
)
def test_nothing_said_is_no_sample_and_no_complaint(payload: str) -> None:
    """Null, empty and absent give neither a value nor a reject."""
    assert decode(payload, POWER) == Decoded()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"hello", "not a number"),
        (b"12 W", "not a number"),
        (b"1,5", "not a number"),
        (b"NaN", "not a number"),
        (b"-inf", "not a number"),
        (b"1e400", "out of range"),
        (b"9" * 400, "out of range"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b"x" * 2000, "2000 bytes"),
        (b'{"power": 1}', "an object"),
        (b"[1]", "a list"),
        (b'{"power": ', "not valid JSON"),
        (b"0x10", "not a number"),
        ("١٢".encode(), "not a number"),
    ],
)
def test_a_plain_payload_that_is_no_number_is_named(payload: bytes, reason: str) -> None:
    """What is not a number is refused with the reason."""
    found = decode(payload)
    assert not found.values
    assert reason in with_code(found.reasons[0])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"hello", "not valid JSON"),
        (b'{"P": NaN}', "not valid JSON"),
        (b'{"P": 1e400}', "out of range"),
        (b'{"P": "x"}', "not a number"),
        (b'{"P": {"v": 1}}', "an object"),
        (b'{"P": "\xff"}', "not valid UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"P": 1', "not valid JSON"),
        (b" " * 5_000_000 + b"1", "VEN-CON-067"),
    ],
)
def test_a_json_payload_that_is_wrong_is_named(payload: bytes, reason: str) -> None:
    """What is no JSON, or no number at the path, is refused with the reason."""
    found = decode(payload, POWER)
    assert not found.values
    assert reason.lower() in with_code(found.reasons[0]).lower()


def test_one_wrong_value_leaves_the_others() -> None:
    """A value that is not a number is named; its neighbours in the same payload are read."""
    found = decode('{"P": "x", "V": 230.5}', POWER, ValueOptions(quantity="voltage_v", path="V"))
    assert found.values == (("voltage_v", 230.5),)
    assert found.reasons == ("power_kw: 'x' is not a number",)


@pytest.mark.parametrize(
    ("text", "value"),
    [("+5", 5), (" 7.50\n", 7.5), (".5", 0.5), ("5.", 5)],
)
def test_loose_numbers(text: str, value: float) -> None:
    """Numbers may be written as devices write them."""
    assert decode(text).values == (("power_kw", value),)
    assert number_of(text) == value


STATES = st.sampled_from(["on", "OFF", "true", "False", '{"output": true}', '{"output": "on"}', "[false]"])


@settings(max_examples=60, deadline=None)
@given(
    text=STATES,
    quantity=st.sampled_from(["power_kw", "energy_kwh", "soc_percent", "voltage_v", "temperature_c"]),
)
def test_a_state_is_never_a_measurement(text: str, quantity: str) -> None:
    """On, true and false are not 1 kW and 0 kW, as a whole payload or within one."""
    path = "output" if "output" in text else "[0]" if "[" in text else ""
    found = decode(text, ValueOptions(quantity=quantity, path=path))
    assert found.values == ()
    assert [code_of(reason) for reason in found.reasons] == ["VEN-CON-072"]


@settings(max_examples=60, deadline=None)
@given(text=STATES, quantity=st.sampled_from(["relay", "charging_state", "door_open"]))
def test_a_state_is_the_value_of_a_state(text: str, quantity: str) -> None:
    """A quantity without a unit takes on and off as 1 and 0."""
    path = "output" if "output" in text else "[0]" if "[" in text else ""
    found = decode(text, ValueOptions(quantity=quantity, path=path))
    assert found.values == ((quantity, float("on" in text.lower() or "true" in text.lower())),)


def test_the_options_can_make_a_power_of_a_state() -> None:
    """A heater that only says whether it is on has the power that the scale says."""
    heater = ValueOptions(quantity="power_kw", path="output", boolean=True, scale=2.0)
    assert decode('{"output": true}', heater).values == (("power_kw", 2.0),)
    assert decode('{"output": "off"}', heater).values == (("power_kw", 0.0),)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_every_key_that_is_shown_is_a_path(document: Any) -> None:
    """What a message shows as a key can be copied into the options as it is."""
    for path, value in leaves(document):
        if path:
            assert find(document, parse_path(path_text(path))) is value


@pytest.mark.parametrize(
    ("payload", "example"),
    [
        (
            {"ENERGY": {"Power": 56, "Total": 12.5}},
            {"power_kw": ("ENERGY.Power", "W"), "energy_kwh": ("ENERGY.Total", "kWh")},
        ),
        ({"apower": 5, "output": True}, {"power_kw": ("apower", "W")}),
        ({"p_kw": "1.5", "soc": 80}, {"power_kw": ("p_kw", "kW"), "soc_percent": ("soc", "%")}),
        ({"em1:0": {"act_power": 7}}, {"power_kw": ("em1:0.act_power", "W")}),
        ({"a.b": [1, 2]}, {"power_kw": ('["a.b"][0]', "W")}),
        ({"total_act_energy": 7}, {"energy_kwh": ("total_act_energy", "kWh")}),
    ],
)
def test_an_example_is_proposed_for_a_payload(payload: Any, example: dict[str, tuple[str, str]]) -> None:
    """The likeliest keys become options that can be used as they are."""
    raw = json.dumps(payload).encode()
    proposed = json.loads(example_for(raw))
    assert {one["quantity"]: (one["path"], one["unit"]) for one in proposed} == example
    options = [msgspec.convert(one, ValueOptions) for one in proposed]
    assert len(PayloadDecoder(options, TimeOptions()).decode(raw, ARRIVAL).values) == len(example)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=60), DOCUMENTS.map(lambda one: json.dumps(one).encode())))
def test_any_payload_is_shown_in_few_printable_words(payload: bytes) -> None:
    """Keys are bounded and printable, whatever the payload."""
    keys = keys_of(payload)
    assert len(keys) <= 20
    assert all(len(key) <= 200 and "\n" not in key for key in keys)
    example_for(payload)


@pytest.mark.parametrize(
    ("quantity", "unit", "raw", "value"),
    [
        ("power_kw", "W", 56, 0.056),
        ("power_kw", "MW", 1.5, 1500),
        ("power_kw", "", 4.2, 4.2),
        ("energy_kwh", "Wh", 514153, 514.153),
        ("energy_kwh", "MJ", 3.6, 1),
        ("energy_kwh", "Wmin", 60_000, 1),
        ("energy_kwh", "KWH", 0.25, 0.25),
        ("soc_percent", "ratio", 0.82, 82),
        ("temperature_c", "K", 273.15, 0),
        ("temperature_c", "°F", 212, 100),
        ("temperature_outside_c", "C", 5, 5),
        ("current_l1_a", "mA", 16714, 16.714),
        ("gas_m3", "l", 1500, 1.5),
    ],
)
def test_units_become_the_unit_of_the_quantity(quantity: str, unit: str, raw: float, value: float) -> None:
    """A value is converted from the device's unit into that of the quantity's name, without noise."""
    assert scaling_for(quantity, unit, 1, 0).apply(raw) == pytest.approx(value, abs=1e-12)


def test_scale_and_offset_come_before_the_unit() -> None:
    """(raw * scale + offset) is in the device's unit."""
    assert scaling_for("power_kw", "W", -10, 500).apply(20) == 0.3


@pytest.mark.parametrize(
    ("quantity", "unit", "scale", "word"),
    [
        ("power_kw", "kWh", 1.0, "use one of W, kW"),
        ("power_kw", "mW", 1.0, "VEN-CON-031"),
        ("power", "W", 1.0, "such as power_kw"),
        ("Power", "", 1.0, "VEN-CON-032"),
        ("power_kw", "", 0.0, "scale"),
        ("power_kw", "", math.nan, "scale"),
    ],
)
def test_a_wrong_description_of_a_value_is_named(quantity: str, unit: str, scale: float, word: str) -> None:
    """Wrong units, names and scales are reported in words."""
    assert word in "; ".join(map(with_code, value_mistakes(quantity, unit, scale, 0.0)))


def at(form: str, raw: object, zone: str | None = None) -> tuple[datetime, datetime]:
    """Read one time."""
    return time_reader(form, zone)(raw)


def refusal(form: str, raw: object, zone: str | None = None) -> str:
    """Return the code of the message that refuses a time; empty when it is read."""
    try:
        at(form, raw, zone)
    except ValueError as error:
        return code_of(text_of(error))
    return ""


@pytest.mark.parametrize(
    ("form", "zone", "raw", "instant"),
    [
        ("epoch_s", None, 1629055611, "2021-08-15T19:26:51+00:00"),
        ("epoch_s", None, 1788820998.37, "2026-09-07T22:43:18.370000+00:00"),
        ("epoch_s", None, "1629055611", "2021-08-15T19:26:51+00:00"),
        ("epoch_ms", None, 1629055611000, "2021-08-15T19:26:51+00:00"),
        ("iso", None, "2023-05-19T20:52:56Z", "2023-05-19T20:52:56+00:00"),
        ("iso", "Europe/Berlin", "2023-05-19T20:52:56", "2023-05-19T18:52:56+00:00"),
        ("iso", "+01:00", "2023-05-19 20:52:56", "2023-05-19T19:52:56+00:00"),
        ("dsmr", None, "250824120000S", "2025-08-24T10:00:00+00:00"),
        ("dsmr", None, "250824120000W", "2025-08-24T11:00:00+00:00"),
        ("dsmr", None, "251026023000S", "2025-10-26T00:30:00+00:00"),
        ("dsmr", None, "251026023000W", "2025-10-26T01:30:00+00:00"),
        ("dsmr", "Europe/Amsterdam", 221122090000, "2022-11-22T08:00:00+00:00"),
        ("%d/%m/%Y %H:%M:%S", "UTC", "6/1/2007 17:24:00", "2007-01-06T17:24:00+00:00"),
        ("%d.%m.%y %H:%M %z", None, "01.02.26 10:00 +0200", "2026-02-01T08:00:00+00:00"),
    ],
)
def test_times_in_every_form(form: str, zone: str | None, raw: object, instant: str) -> None:
    """Each form of time gives the instant that it means."""
    assert at(form, raw, zone) == (datetime.fromisoformat(instant),) * 2


@pytest.mark.parametrize(
    ("form", "raw", "reason"),
    [
        ("iso", "2023-05-19T20:52:56", "unknown zone"),
        ("iso", "19.5.2023", "ISO form"),
        ("iso", 5, "expected text"),
        ("iso", "1970-01-01T00:00:05Z", "clock of the device"),
        ("iso", "9999-12-31T23:59:59Z", "2001 and 2200"),
        ("epoch_s", "soon", "expected a number"),
        ("epoch_s", True, "expected a number"),
        ("epoch_s", 1e300, "out of range"),
        ("epoch_ms", 12, "clock of the device"),
        ("dsmr", "2508241200", "DSMR form"),
        ("dsmr", "251324120000S", "251324120000"),
    ],
)
def test_a_time_that_is_none_is_named(form: str, raw: object, reason: str) -> None:
    """A text that is not a time is refused with the reason, also one that only an unset clock sends."""
    with pytest.raises(ValueError, match=reason):
        at(form, raw)


@pytest.mark.parametrize(
    ("form", "zone", "word"),
    [
        ("isoo", None, "no date"),
        ("%H:%M", "UTC", "no date"),
        ("%d/%m/%Y %H:%M", None, "needs a zone"),
        ("iso", "Europe/Kopenhagen", "VEN-CON-040"),
        ("iso", "../etc/passwd", "VEN-CON-040"),
    ],
)
def test_a_wrong_description_of_a_time_is_named(form: str, zone: str | None, word: str) -> None:
    """Unknown forms and zones are found before anything is read."""
    assert word in "; ".join(map(with_code, time_mistakes(form, zone)))


@settings(max_examples=100, deadline=None)
@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001 (local times)
    st.sampled_from(["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "UTC", "+05:30"]),
)
def test_local_time_and_back(local: datetime, zone: str) -> None:
    """The instant of a local time, shown in its zone, is that local time; others are refused."""
    place = zone_of(zone)
    if code := refusal("iso", local.isoformat(), zone):
        assert code == "VEN-CON-052"
        there_and_back = local.replace(tzinfo=place).astimezone(UTC).astimezone(place)
        assert there_and_back.replace(tzinfo=None) != local
        return
    for instant in at("iso", local.isoformat(), zone):
        assert instant.astimezone(place).replace(tzinfo=None) == local


@settings(max_examples=100, deadline=None)
@given(local_time_in_the_spring_gap())
def test_local_time_in_the_spring_gap_is_refused(drawn: tuple[datetime, datetime, str]) -> None:
    """No instant lies inside the hour left out; its first moment is the change of the clock."""
    inside, first, zone = drawn

    assert refusal("iso", inside.isoformat(), zone) == "VEN-CON-052"
    [instant] = set(at("iso", first.isoformat(), zone))
    assert (
        instant.astimezone(zone_of(zone)).utcoffset()
        != (instant - timedelta(seconds=1)).astimezone(zone_of(zone)).utcoffset()
    )


def test_marked_telegram_in_the_spring_gap_means_its_offset() -> None:
    """A meter that keeps the mark of winter for a while says which instant it means."""
    assert set(at("dsmr", "260329023000W", None)) == {datetime(2026, 3, 29, 1, 30, tzinfo=UTC)}
    assert refusal("dsmr", "260329023000") == "VEN-CON-052"


@pytest.mark.parametrize("factory", ["2000-01-01T00:00:00Z", "2000-01-01T00:00:10Z", "2000-09-30T12:00:00Z"])
def test_factory_date_and_what_counts_on_from_there_is_refused(factory: str) -> None:
    """A device that lost its time starts at 2000-01-01."""
    assert refusal("iso", factory) == "VEN-CON-050"


def test_the_repeated_hour_is_told_by_arrival_or_by_order() -> None:
    """Of the two instants of 02:30 the one near the arrival counts, or the one after the row before."""
    first, second = both = at("iso", "2025-10-26T02:30:00", "Europe/Copenhagen")
    assert second - first == timedelta(hours=1)
    assert nearest(both, first + timedelta(minutes=1)) == first
    assert nearest(both, second + timedelta(minutes=1)) == second
    assert in_order(both, None) == first
    assert in_order(both, first - timedelta(hours=1)) == first
    assert in_order(both, first) == second
    assert in_order(both, second) == second
    assert in_order(both, second + timedelta(days=1)) == first


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.sampled_from([5, 10, 15, 30, 60]))
def test_rows_in_order_keep_both_autumn_hours(start: int, step: int) -> None:
    """Local times of any regular step through the change of the clock give strictly growing instants."""
    zone = ZoneInfo("Europe/Paris")
    begin = datetime(2025, 10, 25, 20 + start, tzinfo=UTC)
    instants = [begin + timedelta(minutes=step * n) for n in range(8 * 60 // step)]
    read = time_reader("iso", "Europe/Paris")
    last: datetime | None = None
    found = []
    for instant in instants:
        last = in_order(read(instant.astimezone(zone).replace(tzinfo=None).isoformat()), last)
        found.append(last)
    assert found == instants


def test_the_time_of_a_payload_counts() -> None:
    """The time at the path is the time of the values; without one there, arrival is left to the caller."""
    time = TimeOptions(path="t", format="epoch_s")
    stamped = decode('{"P": 42, "t": 1632499152}', POWER, time=time)
    assert stamped == Decoded((("power_kw", 0.042),), datetime(2021, 9, 24, 15, 59, 12, tzinfo=UTC))
    assert decode('{"P": 42}', POWER, time=time) == Decoded((("power_kw", 0.042),))


def test_a_wrong_time_refuses_the_payload() -> None:
    """A value whose time cannot be read is not taken for one of now."""
    found = decode('{"P": 42, "t": "noon"}', POWER, time=TimeOptions(path="t"))
    assert found.values == ()
    assert "'noon'" in found.reasons[0]


@pytest.mark.parametrize(
    "raw", [{"zone": "UTC"}, {"path": "a..b"}, {"path": "t", "format": "%H"}, {"when": "x"}]
)
def test_wrong_time_options_are_refused(raw: dict[str, Any]) -> None:
    """Time options that cannot work are refused when they are read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, TimeOptions)


@pytest.mark.parametrize("time", ["2026-06-01 24:00 UTC", "2026-06-02T00:00:00z", "2026-06-01T24:00:00Z"])
def test_times_as_loggers_write_them(time: str) -> None:
    """The end of a day, UTC in words and a small z are understood in payloads too."""
    found = decode(json.dumps({"P": 5, "t": time}), POWER, time=TimeOptions(path="t"))
    assert found.time == datetime(2026, 6, 2, tzinfo=UTC)


@settings(max_examples=100, deadline=None)
@given(time_in_another_unit())
def test_time_in_another_unit_is_refused_with_its_unit(drawn: tuple[int | str, str, str]) -> None:
    """Seconds taken for milliseconds are not a time of 1970; `auto` takes each for what it is."""
    raw, form, other = drawn
    right = time_reader(form, None)(raw)
    with raises_code(ValueError, "VEN-CON-220") as caught:
        time_reader(other, None)(raw)
    said = text_of(caught.value)

    assert isinstance(said, Text)
    assert said.params["form"] == form
    assert abs(time_reader("auto", None)(raw)[0] - right[0]) < timedelta(seconds=1)


@pytest.mark.parametrize("payload", [b"5.5\0", b'{"P": 5500}\0\0', b"5.5"])
def test_nul_at_the_end_of_a_payload_is_not_part_of_it(payload: bytes) -> None:
    """A device written in C sends the end of its text along; a payload of NULs alone is empty."""
    value = POWER if payload.startswith(b"{") else PLAIN_KW
    decoder = PayloadDecoder([value], TimeOptions())

    assert decoder.decode(payload, ARRIVAL).values == (("power_kw", 5.5),)
    assert decoder.decode(b"\0" * 100, ARRIVAL) == Decoded()
