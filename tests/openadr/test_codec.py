"""The codec: objects in and out, odd shapes, and bad objects that hide nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.codes import raises_code
from venclient.errors import WireError
from venclient.openadr.codec import CODEC_31, decode, decode_list, encode
from venclient.openadr.objects import (
    Event,
    Interval,
    Program,
    Report,
    ReportDescriptor,
    ReportPayloadDescriptor,
    ReportResource,
    Subscription,
    ValuesMap,
    Ven,
)

EVENT = {
    "id": "E1",
    "programID": "P1",
    "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [0.17]}]}],
}


def as_json(*objects: Any) -> bytes:
    return json.dumps(list(objects)).encode()


def essence(raw: Any, defaults: dict[str, Any]) -> Any:
    """Return JSON without nulls and without members that hold the schema's default."""
    if isinstance(raw, dict):
        return {
            key: essence(value, defaults)
            for key, value in raw.items()
            if value is not None and not (key in defaults and defaults[key] == value)
        }
    return [essence(one, defaults) for one in raw] if isinstance(raw, list) else raw


DESCRIPTOR_DEFAULTS = {
    "aggregate": False,
    "startInterval": -1,
    "numIntervals": -1,
    "historical": True,
    "frequency": -1,
    "repeat": 1,
}


def test_every_published_example_parses_and_survives_a_round_trip(shared: Path) -> None:
    """Each object of the examples is read, and comes back equal after writing it."""
    examples = json.loads((shared / "openadr" / "examples.json").read_text())

    assert len(examples) > 50
    for example in examples:
        first: msgspec.Struct = decode(example["kind"], json.dumps(example["object"]).encode())
        again: msgspec.Struct = decode(example["kind"], encode(first))
        assert again == first, example["n"]


def test_published_examples_in_3_1_shape_come_back_as_they_were(shared: Path) -> None:
    """What is written equals the example but for defaults, nulls and members outside the schema."""
    examples = json.loads((shared / "openadr" / "examples.json").read_text())
    sound = [e for e in examples if e["spec_version"] != "3.0.1" and "payLoadType" not in json.dumps(e)]

    assert len(sound) > 40
    for example in sound:
        wire: msgspec.Struct = decode(example["kind"], json.dumps(example["object"]).encode())
        assert json.loads(encode(wire)) == essence(example["object"], DESCRIPTOR_DEFAULTS), example["n"]


def test_one_bad_object_hides_no_other_and_is_named() -> None:
    """The good objects of a list are given; the bad one is named by place, id and member."""
    broken = {"id": "E2", "intervals": []}

    decoded = decode_list(Event, as_json(EVENT, broken, {**EVENT, "id": "E3"}, 17))

    assert [event.id for event in decoded.items] == ["E1", "E3"]
    assert [(one.place, one.id) for one in decoded.refused] == [
        ("events[1] (id 'E2')", "E2"),
        ("events[3]", None),
    ]
    assert "programID" in decoded.refused[0].reason
    assert decoded.ids == ["E1", "E2", "E3", None]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_json_has_not_hides_no_other_object(number: str) -> None:
    """A VTN that writes NaN or overflowing numbers loses that object, not the listing."""
    odd = json.dumps({**EVENT, "id": "E2"}).replace("0.17", number)

    decoded = decode_list(Event, f"[{json.dumps(EVENT)}, {odd}]".encode())

    assert [event.id for event in decoded.items] == ["E1"]
    assert [one.id for one in decoded.refused] == ["E2"]


def test_a_wrong_member_deep_inside_is_told_with_its_path() -> None:
    """The reason says where in the object the wrong member stands."""
    bad = {**EVENT, "intervals": [{"id": "first", "payloads": []}]}

    decoded = decode_list(Event, as_json(bad))

    assert "$.intervals[0].id" in decoded.refused[0].reason


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a":', b"[1, 2", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'"text"']
)
def test_a_body_that_is_no_list_is_refused_whole(body: bytes) -> None:
    """HTML, cut or foreign JSON and nonsense raise a WireError, never anything else."""
    with pytest.raises(WireError):
        decode_list(Event, body)


def test_row_18_unknown_members_and_private_strings_survive() -> None:
    """Members that the standard does not know are passed over, unknown enumeration strings kept."""
    odd = {
        **EVENT,
        "objectType": "SOMETHING",
        "x-vendor": {"deep": [1]},
        "reportDescriptors": [
            {
                "payloadType": "X_HEAT",
                "readingType": "X_GUESS",
                "units": "X_UNIT",
                "reportIntervals": "X_ALL",
                "later": 1,
            }
        ],
    }

    (event,) = decode_list(Event, as_json(odd)).items

    assert event.object_type == "SOMETHING"
    assert event.report_descriptors == [
        ReportDescriptor(
            payload_type="X_HEAT", reading_type="X_GUESS", units="X_UNIT", report_intervals="X_ALL"
        )
    ]


@pytest.mark.parametrize("object_type", ["VEN", "BL_VEN_REQUEST", None])
def test_row_24_any_object_type_is_taken(object_type: str | None) -> None:
    """The contradictory objectType of VENs is accepted in each form, or absent."""
    raw = {"id": "1", "venName": "gw", "clientID": "c"} | ({"objectType": object_type} if object_type else {})

    assert decode(Ven, raw).ven_name == "gw"


def test_nulls_where_lists_may_be() -> None:
    """A null list is absent where it may be, and empty where one is required."""
    raw = {
        "programID": "P",
        "targets": None,
        "intervals": [{"id": 0, "payloads": None}],
        "reportDescriptors": [{"payloadType": "USAGE", "aggregate": None, "repeat": None}],
    }

    event = decode(Event, raw)

    assert event.targets is None
    assert event.intervals == [Interval(id=0, payloads=[])]
    assert event.report_descriptors == [ReportDescriptor(payload_type="USAGE")]


def test_spellings_of_members_are_straightened() -> None:
    """payLoadType and clientId are read as what they mean; the exact spelling wins."""
    event = decode(Event, {"programID": "P", "reportDescriptors": [{"payLoadType": "USAGE"}]})
    both = decode(Event, {"programID": "P", "reportDescriptors": [{"payLoadType": "A", "payloadType": "B"}]})
    subscription = decode(Subscription, {"clientName": "c", "clientId": "id-1", "objectOperations": []})

    assert event.report_descriptors == [ReportDescriptor(payload_type="USAGE")]
    assert both.report_descriptors == [ReportDescriptor(payload_type="B")]
    assert subscription.client_id == "id-1"


def test_numbers_and_single_values_take_the_schemas_shape() -> None:
    """Numeric ids become texts, whole floats and numeric texts integers, lone values lists."""
    raw = {
        "id": 7,
        "programID": 3,
        "priority": 1.0,
        "intervals": {"id": "4", "payloads": {"type": "SIMPLE", "values": 2}},
    }

    (event,) = decode_list(Event, as_json(raw)).items

    assert (event.id, event.program_id, event.priority) == ("7", "3", 1)
    assert event.intervals == [Interval(id=4, payloads=[ValuesMap(type="SIMPLE", values=[2])])]


def test_targets_of_3_0_become_texts() -> None:
    """{type, values} targets give their values, numbers as texts."""
    raw = {
        **EVENT,
        "targets": [{"type": "RESOURCE_NAME", "values": [1211]}, {"type": "GROUP", "values": ["g"]}, "x"],
    }

    assert decode(Event, raw).targets == ["1211", "g", "x"]


def test_flat_program_members_of_3_0_become_attributes() -> None:
    """A 3.0 program's flat members are kept as 3.1 attributes, in a list as well."""
    raw = {"programName": "day-ahead", "retailerName": "Acme", "bindingEvents": True, "country": None}

    (program,) = decode_list(Program, as_json(raw)).items

    assert program.attributes == [
        ValuesMap(type="RETAILER_NAME", values=["Acme"]),
        ValuesMap(type="BINDING_EVENTS", values=[True]),
    ]


def test_a_kind_is_named_or_given_as_its_class() -> None:
    """Both ways of saying the kind give the same, and an unknown name lists the known ones."""
    event: Event = decode("event", EVENT)

    assert event == decode(Event, EVENT)
    with raises_code(ValueError, "VEN-OAD-002"):
        decode("evnt", EVENT)


def report_of(*payloads: ValuesMap) -> Report:
    return Report(
        id="R",
        client_id="c",
        object_type="REPORT",
        created_date_time="x",
        modification_date_time="y",
        event_id="E",
        client_name="gw",
        report_name="n",
        payload_descriptors=[ReportPayloadDescriptor(payload_type="USAGE", units="KWH")],
        resources=[ReportResource(resource_name="main", intervals=[Interval(id=0, payloads=list(payloads))])],
    )


def test_row_64_whole_numbers_of_a_report_leave_as_floats() -> None:
    """10 is written 10.0; booleans, texts and payloads that are whole by definition stay."""
    body = CODEC_31.report_request(
        report_of(
            ValuesMap(type="USAGE", values=[10, 0.5]),
            ValuesMap(type="SIMPLE_LEVEL", values=[2]),
            ValuesMap(type="X_ACK", values=[True]),
            ValuesMap(type="DATA_QUALITY", values=["OK"]),
        )
    )

    assert b'"values":[10.0,0.5]' in body
    assert b'"values":[2]' in body
    assert b'"values":[true]' in body
    assert b'"values":["OK"]' in body


def test_a_report_request_holds_nothing_that_the_vtn_adds() -> None:
    """Metadata and clientID are left out, and descriptors carry the objectType that 3.1 requires."""
    request = json.loads(CODEC_31.report_request(report_of(ValuesMap(type="USAGE", values=[1.0]))))

    assert set(request) == {"eventID", "clientName", "reportName", "payloadDescriptors", "resources"}
    assert request["payloadDescriptors"] == [
        {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "units": "KWH"}
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_is_never_sent(value: float) -> None:
    """NaN would leave as null; it is refused, naming resource and payload."""
    with pytest.raises(WireError, match=r"main: .*USAGE.*VEN-OAD-006"):
        CODEC_31.report_request(report_of(ValuesMap(type="USAGE", values=[value])))


def test_empty_lists_that_the_schema_requires_are_written() -> None:
    """A payload without values and a report without resources keep their empty lists."""
    assert json.loads(encode(ValuesMap(type="X", values=[]))) == {"type": "X", "values": []}
    assert json.loads(encode(Report(event_id="E", client_name="c", resources=[])))["resources"] == []


def test_row_20_requests_carry_the_discriminator_and_no_targets() -> None:
    """A VEN's requests say which form they are, send floats, and neither targets nor clientID."""
    attributes = [ValuesMap(type="LOCATION", values=[9, 56.2])]

    ven = CODEC_31.ven_request("gw", attributes)
    resource = CODEC_31.resource_request("main", "V1")

    assert ven == (
        b'{"objectType":"VEN_VEN_REQUEST","venName":"gw",'
        b'"attributes":[{"type":"LOCATION","values":[9.0,56.2]}]}'
    )
    assert json.loads(resource) == {
        "objectType": "VEN_RESOURCE_REQUEST",
        "resourceName": "main",
        "venID": "V1",
    }


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_a_name_of_the_wrong_length_is_refused_before_it_is_sent(name: str) -> None:
    """Names have 1 to 128 characters."""
    with pytest.raises(WireError, match="VEN-OAD-005"):
        CODEC_31.ven_request(name)


def test_secrets_stay_out_of_repr() -> None:
    """Tokens and keys that the wire carries are not shown."""
    token: msgspec.Struct = decode("token", {"access_token": "s3cret-token", "token_type": "Bearer"})
    notifiers: msgspec.Struct = decode(
        "notifiers",
        {
            "WEBHOOK": True,
            "MQTT": {
                "URIS": ["mqtts://b"],
                "serialization": "JSON",
                "authentication": {
                    "method": "CERTIFICATE",
                    "caCert": "ca",
                    "clientCert": "cc",
                    "clientKey": "s3cret-key",
                },
            },
        },
    )
    subscription: msgspec.Struct = decode(
        "subscription",
        {
            "clientName": "c",
            "objectOperations": [
                {"objects": [], "operations": [], "callbackUrl": "u", "bearerToken": "s3cret"}
            ],
        },
    )

    assert "s3cret" not in f"{token!r} {notifiers!r} {subscription!r}"


@pytest.mark.parametrize(("written", "read"), [(4.0, 4), ("4", "4"), ("PT15M", "PT15M"), (None, -1)])
def test_row_18_a_frequency_in_another_spelling_hides_no_event(written: object, read: object) -> None:
    """A whole number with a point, a text and null are read; the event's other members stay."""
    raw = {"programID": "P", "reportDescriptors": [{"payloadType": "USAGE", "frequency": written}]}
    read_event: Event = decode("event", raw)
    (one,) = read_event.report_descriptors or []

    assert one.frequency == read
