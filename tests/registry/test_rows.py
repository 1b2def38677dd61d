"""Rows and objects: what goes in comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.objects import make_connection, make_resource
from venclient.errors import InvalidRecord
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, ResourceType
from venclient.registry import rows

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)
CONNECTIONS = st.builds(
    Connection,
    type=st.sampled_from(ConnectionType),
    actortype=st.sampled_from(ActorType),
    host=st.none() | TEXTS,
    port=st.none() | st.integers(0, 65535),
    topic=st.none() | TEXTS,
    file=st.none() | TEXTS,
    username=st.none() | TEXTS,
    password=st.none() | TEXTS,
    options=st.none() | OBJECTS,
    id=st.none(),
)
RESOURCES = st.builds(
    Resource,
    resourceID=TEXTS.filter(bool),
    resourceName=TEXTS,
    resourceType=st.sampled_from([member.name for member in ResourceType]),
    resourceSubType=st.none() | TEXTS,
    meterPointId=TEXTS,
    connection=CONNECTIONS,
    capacities=OBJECTS,
    location=OBJECTS,
    address=st.none() | TEXTS,
    enabled=st.booleans(),
    reporting=st.none() | OBJECTS,
    ven=st.none() | TEXTS,
    control_connection=st.none() | CONNECTIONS,
)


@settings(max_examples=60, deadline=None)
@given(RESOURCES)
def test_round_trip(resource: Resource) -> None:
    """Any resource comes back from its row as it was."""
    assert rows.as_stored(resource, resource.ven) == resource


@given(st.sampled_from(ResourceType), st.booleans(), st.sampled_from([str.lower, str.upper, str.title]))
def test_every_spelling_of_a_type(member: ResourceType, by_value: bool, case: Any) -> None:
    """A type is known by name and value in any case, and its usual spellings are searched for."""
    text = case(member.value if by_value else member.name)

    assert rows.type_name(text) == member.name
    assert {member.name, str(member.value)} <= set(rows.type_spellings(text))


def test_numbers_of_data_frames() -> None:
    """numpy's numbers are stored as plain ones."""
    resource = make_resource(capacities={"P_max_kw": np.float64(1.5), "E_max_kwh": np.int64(3)})

    assert rows.as_stored(resource, None).capacities == {"P_max_kw": 1.5, "E_max_kwh": 3}


def test_what_is_no_json_is_named() -> None:
    """A value that JSON cannot hold is refused with its field."""
    with pytest.raises(InvalidRecord, match="VEN-REG-123"):
        rows.encode_resource(make_resource(capacities={"P_max_kw": object()}), None)
    with pytest.raises(InvalidRecord, match="VEN-REG-123"):
        rows.encode_connection(make_connection(options={"x": object()}))


def test_upper_case_names_are_written() -> None:
    """Connection and actor types are stored by the specification's upper-case names."""
    assert rows.encode_connection(make_connection())[:2] == ("MQTT", "READER")
