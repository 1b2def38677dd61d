"""OpenADR 3.0.1 on the wire, 3.1 inside: golden pairs both ways, and what 3.0.1 wants (row 71)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator

from tests.openadr.test_roundtrip import events, json_values, reports
from venclient.errors import WireError
from venclient.openadr.codec import CODEC_31, KINDS, Codec31
from venclient.openadr.codec_301 import CODEC_301
from venclient.openadr.objects import Event, Program, Report, ValuesMap, Ven
from venclient.openadr.times import NOW, parse_time
from venclient.reporting.targets import Reportable, resources_of

GOLDEN = Path(__file__).parent / "golden"
CASES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json"))}
PLACES = {"3.0.1": "openadr/3.0.1/openadr3.yaml", "3.1": "openadr/3.1.1/openadr3.yaml"}


def cases(direction: str) -> list[Any]:
    return [pytest.param(case, id=name) for name, case in CASES.items() if direction in case["directions"]]


@cache
def document(path: Path) -> Any:
    # Examples in it are dates, which this reader would turn into objects.
    class Plain(yaml.CSafeLoader):
        pass

    Plain.yaml_implicit_resolvers = {
        key: [one for one in found if one[0] != "tag:yaml.org,2002:timestamp"]
        for key, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return undiscriminated(yaml.load(path.read_text("utf-8"), Loader=Plain))


def undiscriminated(raw: Any) -> Any:
    """Return the document without discriminators, which name no schema in it; anyOf and oneOf stay."""
    if isinstance(raw, dict):
        return {key: undiscriminated(value) for key, value in raw.items() if key != "discriminator"}
    return [undiscriminated(one) for one in raw] if isinstance(raw, list) else raw


def mistakes(shared: Path, version: str, schema: str, raw: Any) -> list[str]:
    """Return what the official document of a version finds wrong with an object."""
    api = document(shared / PLACES[version])
    validator = OAS30Validator({"$ref": f"#/components/schemas/{schema}", "components": api["components"]})
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(raw)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("version", PLACES)
def test_row_71_golden_objects_keep_to_the_official_document(shared: Path, name: str, version: str) -> None:
    """Both sides of each pair are what the version's own document allows."""
    schema = CASES[name][f"schema_{version}"]
    if schema is not None:
        assert mistakes(shared, version, schema, CASES[name][version]) == []


def test_row_71_every_kind_of_object_has_a_golden_pair() -> None:
    """Of what both versions have, nothing is left out, and what can be written is written as well."""
    stored = {"program", "event", "report", "ven", "resource", "subscription"}
    both = {"read", "write"}
    directions = {
        kind: {way for case in CASES.values() if case["kind"] == kind for way in case["directions"]}
        for kind in stored
    }

    assert {case["kind"] for case in CASES.values()} == stored | {"problem", "token", "token_error"}
    assert {kind for kind, ways in directions.items() if ways == both} == stored


@pytest.mark.parametrize("case", cases("read"))
def test_row_71_what_3_0_1_writes_is_read_as_3_1(case: dict[str, Any]) -> None:
    """An object of 3.0.1 reads equal to its 3.1 form, alone and in a list."""
    kind = KINDS[case["kind"]]
    expected = CODEC_31.decode(kind, case["3.1"])
    old = case["3.0.1"]
    if case["kind"] in ("ven", "resource"):
        # The word for what it is, and for whose, is the version's own.
        expected = msgspec.structs.replace(expected, client_id=None, object_type=old["objectType"])
    vens = [one["values"] for one in old.get("targets") or () if one.get("type") == "VEN_NAME"]
    if vens:
        expected = msgspec.structs.replace(expected, ven_names=vens[0])

    assert CODEC_301.decode(kind, old) == expected
    assert CODEC_301.decode_list(kind, json.dumps([old, 7, old]).encode()).items == [expected, expected]


@pytest.mark.parametrize("case", cases("write"))
def test_row_71_what_is_3_1_inside_is_written_as_3_0_1(case: dict[str, Any]) -> None:
    """An object leaves in the shape of 3.0.1, and with nothing that it does not know."""
    wire = CODEC_31.decode(KINDS[case["kind"]], case["3.1"])

    assert json.loads(CODEC_301.encode(wire)) == case["3.0.1"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["schema_3.1"]])
def test_golden_objects_of_3_1_come_back_as_they_were(name: str) -> None:
    """What is read in 3.1 is written again as it was, defaults aside."""
    case = CASES[name]
    wire = CODEC_31.decode(KINDS[case["kind"]], case["3.1"])
    written = json.loads(CODEC_31.encode(wire))

    assert written == {key: value for key, value in case["3.1"].items() if key in written}
    assert {key for key, value in case["3.1"].items() if key not in written} <= {"type", "token_type"}


def test_row_71_a_report_leaves_with_its_program_and_floats() -> None:
    """A report request has programID, no clientID, and 10.0 for 10; without a program it is not made."""
    report = CODEC_31.decode(Report, CASES["report"]["3.1"] | {"clientID": "gw-1"})
    sent = json.loads(CODEC_301.report_request(report))

    assert sent["programID"] == "P1"
    assert "clientID" not in sent
    assert "id" not in sent
    assert b'"values":[10.0]' in CODEC_301.report_request(report)
    with pytest.raises(WireError, match="VEN-OAD-007"):
        CODEC_301.report_request(msgspec.structs.replace(report, program_id=None))


def test_row_71_a_report_in_3_1_has_no_program() -> None:
    """programID is not sent to a VTN of 3.1."""
    report = CODEC_31.decode(Report, CASES["report"]["3.1"])

    assert "programID" not in json.loads(CODEC_31.report_request(report))


@pytest.mark.parametrize("schema", ["ven", "resource"])
def test_row_71_requests_are_plain_and_keep_what_the_operator_wrote(shared: Path, schema: str) -> None:
    """No discriminator, no clientID; typed targets and unknown members are sent back as they came."""
    operators = {"targets": [{"type": "GROUP", "values": ["g"]}], "x-own": 1}
    held = json.dumps({"id": "1", "createdDateTime": "x", "objectType": "VEN", **operators}).encode()
    attributes = [ValuesMap(type="AREA", values=[10])]
    if schema == "ven":
        bodies = [CODEC_301.ven_request("gw", attributes), CODEC_301.ven_request("gw", attributes, held=held)]
        named = {"venName": "gw"}
    else:
        new = CODEC_301.resource_request("main", "V1", attributes)
        bodies = [new, CODEC_301.resource_request("main", "V1", attributes, held=held)]
        named = {"resourceName": "main", "venID": "V1"}
    created, updated = (json.loads(body) for body in bodies)

    assert created == named | {"attributes": [{"type": "AREA", "values": [10.0]}]}
    assert updated == created | operators
    assert mistakes(shared, "3.0.1", schema, created) == []


@pytest.mark.parametrize("held", [b"[]", b'{"targets": null}'])
def test_a_held_object_of_any_shape_is_survived(held: bytes) -> None:
    """What a VTN holds may be odd; a request is made all the same."""
    assert json.loads(CODEC_301.ven_request("gw", held=held))["venName"] == "gw"


def test_a_held_object_that_is_no_json_is_said() -> None:
    """Nothing is overwritten that could not be read."""
    with pytest.raises(WireError, match="VEN-OAD-008"):
        CODEC_301.ven_request("gw", held=b"<html>")


def test_row_71_the_sentinel_of_3_0_1_means_now() -> None:
    """0000-00-00 is read as it stands, and understood."""
    raw = {"programID": "P", "intervalPeriod": {"start": "0000-00-00", "duration": "PT1H"}, "intervals": []}
    event = CODEC_301.decode(Event, raw)

    assert event.interval_period is not None
    assert parse_time(event.interval_period.start) is NOW


def test_row_71_a_vtn_that_mixes_the_versions_is_read() -> None:
    """Plain targets from a VTN of 3.0.1 are taken as well, beside typed ones in the same list."""
    typed = {"id": "1", "programID": "P", "targets": [{"type": "GROUP", "values": ["a"]}], "intervals": []}
    plain = {"id": "2", "programID": "P", "targets": ["b"], "intervals": None}
    broken = {"id": "3", "programID": "P", "intervals": 7}
    decoded = CODEC_301.decode_list(Event, json.dumps([typed, plain, broken]).encode())

    assert [event.targets for event in decoded.items] == [["a"], ["b"]]
    assert [one.id for one in decoded.refused] == ["3"]
    assert decoded.ids == ["1", "2", "3"]
    assert CODEC_301.decode(Ven, {"venName": "v", "targets": None}).targets is None


@given(st.sampled_from(sorted(KINDS)), json_values)
@settings(max_examples=60)
def test_no_json_crashes_the_reader_of_3_0_1(kind: str, raw: Any) -> None:
    """Any JSON is read or refused; a list accounts for each of its elements."""
    decoded = CODEC_301.decode_list(KINDS[kind], json.dumps([raw, raw]).encode())

    assert len(decoded.items) + len(decoded.refused) == len(decoded.ids) == 2


@given(events | reports)
@settings(max_examples=60)
def test_any_event_and_report_survives_3_0_1_but_for_what_it_has_no_word_for(wire: Event | Report) -> None:
    """Whatever is written in 3.0.1 reads back, with its payloads and targets."""
    back = CODEC_301.decode(type(wire), CODEC_301.encode(wire))
    if isinstance(wire, Report) and isinstance(back, Report):
        assert [one.resource_name for one in back.resources] == [one.resource_name for one in wire.resources]
    elif isinstance(wire, Event) and isinstance(back, Event):
        assert (back.targets or []) == (wire.targets or [])
        assert [one.payloads for one in back.intervals or []] == [
            one.payloads for one in wire.intervals or []
        ]


@pytest.mark.parametrize("codec", [CODEC_31, CODEC_301], ids=["3.1", "3.0.1"])
def test_one_bad_object_hides_no_other_and_leaves_the_others_as_read(codec: Any) -> None:
    """NaN, half characters and wrong types spoil their own object only, wherever it stands."""
    good = [json.dumps({"id": id_, "programID": "P", "targets": None, "intervals": []}) for id_ in "abc"]
    bad = ['{"id": "n", "programID": NaN}', r'{"id": "h", "programID": "\ud800"}', '{"id": 5}', "null"]
    for some in (bad, bad[2:]):
        body = "[" + ", ".join([good[0], *some, good[1], good[2]]) + "]"
        decoded = codec.decode_list(Event, body.encode())

        assert [one.id for one in decoded.items] == ["a", "b", "c"]
        assert len(decoded.refused) == len(some)
        assert [one.id for one in decoded.refused][-2:] == ["5", None]


@pytest.mark.parametrize("codec", [CODEC_31, CODEC_301])
@pytest.mark.parametrize(
    "nothing",
    [
        [{"type": "RESOURCE_NAME", "values": []}],
        [{"type": "RESOURCE_NAME", "values": [None]}],
        [{"type": "RESOURCE_NAME", "values": None}],
        {"type": "RESOURCE_NAME", "values": []},
        [None],
        [""],
    ],
)
def test_a_target_without_values_does_not_mean_all(codec: Codec31, nothing: Any) -> None:
    """What a target fails to name is not everybody: an event with it is for no resource."""
    raw: dict[str, Any] = {"id": "1", "programID": "P", "targets": nothing, "intervals": []}
    raw["reportDescriptors"] = [{"payloadType": "USAGE", "targets": nothing}]
    event = codec.decode(Event, json.dumps(raw).encode())

    assert event.report_descriptors is not None
    for targets in (event.targets, event.report_descriptors[0].targets):
        assert resources_of(None, targets or (), [Reportable("r", "hotel")], {"ven"}) == []
        assert resources_of(targets, (), [Reportable("r", "hotel")], {"ven"}) == []


@pytest.mark.parametrize("kind", [Event, Program])
@pytest.mark.parametrize("more", [{}, {"targets": ["plain"]}])
def test_the_vens_among_typed_targets_are_kept(kind: type[Event | Program], more: dict[str, Any]) -> None:
    """In a list that is read at once, and in one that is read one by one."""
    typed = [{"type": "VEN_NAME", "values": ["a", "b"]}, {"type": "GROUP", "values": ["g"]}]
    one = {"id": "1", "programID": "P", "programName": "p", "intervals": [], "targets": typed}
    first = CODEC_301.decode_list(kind, json.dumps([one, {**one, "id": "2", **more}]).encode()).items[0]

    assert (first.targets, first.ven_names) == (["a", "b", "g"], ["a", "b"])
    assert b"venNames" not in CODEC_301.encode(first)
