"""Request bodies against the official YAML: both refuse and accept the same."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.vtn.bodies import BAD, GOOD, SCHEMA, Path, changed
from tests.simulation.vtn.conftest import YAML
from tests.simulation.vtn.contract import Contract, load_contract
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.schema import is_date_time, read_body

IDS = [f"{kind}-{'.'.join(map(str, path))}-{number}" for number, (kind, path, _) in enumerate(BAD)]


def accepts(kind: str, body: object) -> bool:
    """Tell whether the VTN takes a body from a VEN, or in case of its forms from business logic."""
    raw = json.dumps(body).encode()
    for is_bl in (False, True):
        try:
            read_body(kind, raw, is_bl=is_bl)
        except Refusal:
            continue
        return True
    return False


@pytest.mark.parametrize(("kind", "path", "value"), BAD, ids=IDS)
def test_refuses_what_the_yaml_forbids(kind: str, path: Path, value: object) -> None:
    """A body with one forbidden member is refused."""
    assert not accepts(kind, changed(kind, path, value))


@pytest.mark.parametrize(("kind", "path", "value"), BAD, ids=IDS)
def test_table_of_bad_bodies_is_the_yamls(contract: Contract, kind: str, path: Path, value: object) -> None:
    """Every row of the table is forbidden by the YAML itself: we invent no rule."""
    assert contract.schema_errors(SCHEMA[kind], changed(kind, path, value))


@pytest.mark.parametrize("kind", GOOD)
def test_accepts_a_body_with_every_member(contract: Contract, kind: str) -> None:
    """A full body is taken, comes back member for member, and the YAML agrees."""
    content = read_body(kind, json.dumps(GOOD[kind]).encode(), is_bl=False)
    assert content == GOOD[kind]
    assert not contract.schema_errors(SCHEMA[kind], GOOD[kind])


@pytest.mark.parametrize("kind", GOOD)
def test_ignores_unknown_members(kind: str) -> None:
    """Members that the standard does not know are dropped, not refused."""
    content = read_body(kind, json.dumps({**GOOD[kind], "x-extra": {"deep": [1]}}).encode(), is_bl=False)
    assert content == GOOD[kind]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01t00:00:00.123456789z",
        "2026-01-01T00:00:00+02:00",
        "2016-12-31T23:59:60Z",
        "0001-01-01",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00Z",
    ],
)
def test_date_times_that_are_ones(text: str) -> None:
    """RFC 3339 in all its spellings and the two spellings of now are taken."""
    assert is_date_time(text)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z",
     "2026-01-01T00:00:61Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00Z", "0000-00-00",
     "٢٠٢٦-01-01T00:00:00Z"],
)  # fmt: skip
def test_date_times_that_are_none(text: str) -> None:
    """What is not a date-time is not taken for one."""
    assert not is_date_time(text)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"programName": "\xff"}', b"[" * 20_000, b"NaN"]
)
def test_broken_json_is_a_bad_request(body: bytes) -> None:
    """A body that is no JSON object is refused, however broken."""
    with pytest.raises(Refusal) as caught:
        read_body("program", body, is_bl=True)
    assert caught.value.status == 400


@pytest.mark.parametrize("member", ["targets", "clientID"])
@pytest.mark.parametrize("kind", ["ven", "resource"])
def test_a_ven_may_not_grant_itself_anything(kind: str, member: str) -> None:
    """Targets and clientID in a VEN's own form are refused by name."""
    with pytest.raises(Refusal, match=member):
        read_body(kind, json.dumps({**GOOD[kind], member: ["x"]}).encode(), is_bl=False)


def test_official_examples_are_judged_as_by_the_yaml(contract: Contract, shared: FilePath) -> None:
    """Every request of the collected examples is accepted exactly when the YAML accepts it."""
    judged = 0
    for example in json.loads((shared / "openadr" / "examples.json").read_text()):
        kind = example["kind"]
        if example["form"] != "request" or kind not in SCHEMA:
            continue
        judged += 1
        errors = contract.schema_errors(SCHEMA[kind], example["object"])
        assert accepts(kind, example["object"]) == (not errors), (example["n"], errors)
    assert judged > 10


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
    | st.text(max_size=8).filter(lambda text: not text.endswith("\n"))
    | st.sampled_from(
        ["PT1H", "P1D", "-P1Y", "P9999Y", "VEN_VEN_REQUEST", "BL_VEN_REQUEST", "x" * 128, "x" * 129]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "id", "type"]), inner)
    ),
    max_leaves=5,
)


def places(value: Any, way: Path = ()) -> list[Path]:
    """Return the path of every member and element of a body."""
    found: list[Path] = []
    steps: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, inner in steps:
        found += [(*way, step), *places(inner, (*way, step))]
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_is_judged_as_by_the_yaml(data: st.DataObject) -> None:
    """Whatever one member is replaced by, the VTN and the YAML come to the same verdict."""
    if not YAML.exists():
        pytest.skip("the official openadr3.yaml is not in ../shared")
    kind = data.draw(st.sampled_from(sorted(GOOD)))
    # Stricter on purpose: the YAML forgets to say that a programDescription is an object, and its
    # validator does not know the format "uri".
    known = ("programDescriptions", "callbackUrl")
    paths = [path for path in places(GOOD[kind]) if not any(step in known for step in path)]
    body = changed(kind, data.draw(st.sampled_from(paths)), data.draw(VALUES))
    errors = load_contract(YAML).schema_errors(SCHEMA[kind], body)
    assert accepts(kind, body) == (not errors), errors
