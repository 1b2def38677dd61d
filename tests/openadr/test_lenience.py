"""An optional member of the wrong type never costs its object, and never widens what the object means."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.openadr.codec import CODEC_31, KINDS, Decoded, decode, decode_list
from venclient.openadr.objects import Event, Interval, Program, ReportDescriptor, TokenAnswer, Value, Ven

#: One of each type that JSON has, nested ones too.
WRONG: tuple[Any, ...] = (
    None,
    True,
    7,
    -1.5,
    "text",
    "",
    [],
    {},
    [[]],
    [{}],
    [None, 7, True],
    {"a": [1]},
    [{"values": [{"x": 1}]}],
)


def sound(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the least object of a kind, in JSON."""
    hints = typing.get_type_hints(kind)
    return {
        field.encode_name: of_type(hints[field.name])
        for field in msgspec.structs.fields(kind)
        if field.required
    }


def of_type(hint: Any) -> Any:
    """Return a sound JSON value of a required member's type, lists with one element."""
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return [1.0] if item == Value else [of_type(item)]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return sound(hint)
    return {str: "T", int: 1}[hint]


def optional_members() -> Iterator[tuple[str, str]]:
    """Return each kind of object with each of its optional members."""
    for name, kind in KINDS.items():
        for field in msgspec.structs.fields(kind):
            if not field.required:
                yield name, field.encode_name


@pytest.mark.parametrize(("kind", "member"), list(optional_members()))
def test_an_optional_member_of_any_type_never_costs_its_object(kind: str, member: str) -> None:
    """Whatever stands there, the object is read, alone and in a listing, and so are its required members."""
    for wrong in WRONG:
        raw = {**sound(KINDS[kind]), member: wrong}
        read: Any = decode(kind, json.dumps(raw).encode())
        listed: Decoded[Any] = decode_list(kind, json.dumps([raw]).encode())

        assert listed.items == [read], wrong
        assert listed.refused == []
        for field in msgspec.structs.fields(KINDS[kind]):
            if field.required:
                plain: msgspec.Struct = decode(kind, sound(KINDS[kind]))
                assert getattr(read, field.name) == getattr(plain, field.name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text("ab1 ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(list(optional_members())), json_values)
def test_no_json_in_an_optional_member_costs_its_object(where: tuple[str, str], wrong: Any) -> None:
    """Drawn values do what the listed ones do."""
    kind, member = where
    listed: Decoded[Any] = decode_list(kind, json.dumps([{**sound(KINDS[kind]), member: wrong}]).encode())

    assert len(listed.items) == 1


EVENT = {"id": "E1", "programID": "P1"}


def test_a_wrong_member_is_named_and_the_others_stay() -> None:
    """What was ignored is listed with its path, deep ones too; what is sound beside it is read."""
    descriptors = [{"payloadType": "USAGE", "aggregate": {}, "repeat": 3}, {"payloadType": "USAGE"}, 7]
    raw = {**EVENT, "priority": "high", "reportDescriptors": descriptors, "eventName": "peak"}
    listed = decode_list(Event, json.dumps([raw]).encode())

    (event,) = listed.items
    assert event.event_name == "peak"
    assert event.priority is None
    assert [one.repeat for one in event.report_descriptors or ()] == [3, 1]
    (said,) = listed.ignored
    assert said.id == "E1"
    for path in ("priority", "reportDescriptors[0].aggregate", "reportDescriptors[2]"):
        assert path in said.reason


@pytest.mark.parametrize("wrong", [{}, [{"a": 1}], [True], 7, [["north"]]])
def test_targets_that_cannot_be_read_do_not_make_an_event_for_everybody(wrong: Any) -> None:
    """An event whose targets are of the wrong type is not for us."""
    event = decode(Event, json.dumps({**EVENT, "targets": wrong}).encode())

    assert event.targets
    assert all(isinstance(one, str) for one in event.targets)


@pytest.mark.parametrize("wrong", [7, "PT1H", [1]])
def test_a_period_that_cannot_be_read_is_not_taken_for_none(wrong: Any) -> None:
    """An event whose period or intervals are of the wrong type is not about another time."""
    whole = decode(Event, json.dumps({**EVENT, "intervalPeriod": wrong}).encode())
    parts = decode(Event, json.dumps({**EVENT, "intervals": wrong}).encode())

    assert whole.interval_period is not None
    assert str(wrong).strip("[]'") in str(whole.interval_period.start)
    assert [one.interval_period is not None for one in parts.intervals or ()] == [True]


def test_what_is_required_inside_still_counts() -> None:
    """Intervals that lack what they must have refuse their event; a bad attribute costs itself only."""
    bad = {**EVENT, "intervals": [{"id": "first", "payloads": []}]}
    assert decode_list(Event, json.dumps([bad]).encode()).refused
    ven = decode(Ven, json.dumps({"venName": "v", "attributes": [{"values": [1]}, {"type": "A"}]}).encode())
    assert [one.type for one in ven.attributes or ()] == ["A"]
    program = decode(Program, json.dumps({"programName": "p", "payloadDescriptors": [1, {}]}).encode())
    assert program.payload_descriptors == []


def test_flags_and_numbers_as_texts_are_read() -> None:
    """A text "true" is true, "0.5" is a number; a label of letters is refused with its interval."""
    raw = {
        **EVENT,
        "reportDescriptors": [{"payloadType": "USAGE", "aggregate": "True", "historical": "false"}],
    }
    (descriptor,) = decode(Event, json.dumps(raw).encode()).report_descriptors or [
        ReportDescriptor(payload_type="none")
    ]
    assert (descriptor.aggregate, descriptor.historical) == (True, False)
    with pytest.raises(ValueError, match="VEN-OAD-001"):
        decode(Interval, json.dumps({"id": "x", "payloads": []}).encode())


@pytest.mark.parametrize(
    ("members", "expires_in", "scope"),
    [
        ({"scope": ["read_all", "write_reports"]}, None, "read_all write_reports"),
        ({"scope": "read_all"}, None, "read_all"),
        ({"scope": None, "expires_in": None, "token_type": None}, None, None),
        ({"scope": {"a": 1}, "token_type": "bearer"}, None, None),
        ({"scope": ["read_all", 7]}, None, "read_all"),
        ({"expires_in": "3600", "token_type": "BEARER"}, "3600", None),
        ({"expires_in": 3600.5, "token_type": ["Bearer"]}, 3600.5, None),
        ({"expires_in": True, "refresh_token": {"x": []}, "created_at": 7}, None, None),
        ({"expires_in": {"seconds": 1}, "Scope": "x"}, None, "x"),
    ],
)
def test_a_token_response_of_any_shape_gives_its_token(
    members: dict[str, Any], expires_in: Any, scope: str | None
) -> None:
    """Only access_token is needed; scopes may be listed, and other members may be anything."""
    raw = {"access_token": "t", **members}
    read = CODEC_31.decode(TokenAnswer, json.dumps(raw).encode())

    assert (read.access_token, read.expires_in, read.scope) == ("t", expires_in, scope)
