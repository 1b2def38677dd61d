"""The names, orders and values that programs of the first generation were written against."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import flex_resources
import resource_db
from tests.contract.snippets import specification
from venclient.model import resource as model
from venclient.registry.database import ResourceDatabase


def test_doors_lead_to_the_real_things() -> None:
    """The old import names give the very classes that the package uses."""
    assert resource_db.ResourceDatabase is ResourceDatabase
    for name in ("Resource", "Connection", "ConnectionType", "ActorType", "ResourceType"):
        assert getattr(flex_resources, name) is getattr(model, name)


def test_client_and_utils_are_importable() -> None:
    """The two modules that the specification's tree names are there."""
    import venclient.client
    import venclient.utils

    assert venclient.client.__doc__
    assert venclient.utils.__doc__


def test_enumerations() -> None:
    """Members and values are as they have always been."""
    found = {
        kind.__name__: {member.name: member.value for member in kind}
        for kind in (flex_resources.ConnectionType, flex_resources.ActorType, flex_resources.ResourceType)
    }

    assert found == {
        "ConnectionType": {"MODBUSTCP": "modbustcp", "MQTT": "mqtt", "FILEREADER": "filereader"},
        "ActorType": {"READER": "reader", "WRITER": "writer"},
        "ResourceType": {
            "DSR": "Demand Response",
            "BATTERY": "Battery",
            "PV": "Photovoltaic",
            "EV": "Electric Vehicle",
        },
    }


def test_positional_order_of_the_data_types() -> None:
    """Old arguments keep their places; what is new comes after them, with defaults."""
    connection = ["type", "actortype", "host", "port", "topic", "file", "username", "password"]
    resource = [
        "resourceID",
        "resourceName",
        "resourceType",
        "resourceSubType",
        "meterPointId",
        "connection",
        "capacities",
        "location",
        "address",
        "enabled",
        "reporting",
    ]

    for kind, expected in ((flex_resources.Connection, connection), (flex_resources.Resource, resource)):
        names = [one.name for one in fields(kind)]
        assert names[: len(expected)] == expected
        parameters = list(inspect.signature(kind).parameters.values())
        assert all(one.default is not inspect.Parameter.empty for one in parameters[len(expected) :])


def test_old_style_construction() -> None:
    """Objects are made with positional arguments and optional rest, as old programs do."""
    connection = flex_resources.Connection(
        flex_resources.ConnectionType.MODBUSTCP, flex_resources.ActorType.READER, "192.0.2.1", 502
    )
    made = flex_resources.Resource("id", "name", "DSR", "Hotels", "7070", connection, {}, {})

    assert (made.address, made.enabled, made.reporting) == (None, None, None)
    assert (connection.topic, connection.password) == (None, None)


def test_signatures_of_the_api_reference(shared: Path) -> None:
    """Every method that the specification lists takes the arguments that it lists, with those defaults."""
    listed = re.findall(r"^#### `(\w+)\((.*?)\)", specification(shared), re.MULTILINE)
    assert len(listed) == 9

    for name, args in listed:
        wanted = [one.partition(":")[0].strip() for one in args.split(",") if one.strip()]
        method = inspect.signature(getattr(ResourceDatabase, name))
        parameters = [one for one in method.parameters.values() if one.name != "self"]
        assert [one.name for one in parameters[: len(wanted)]] == wanted, name
        optional = [one.name for one in parameters if one.default is not inspect.Parameter.empty]
        assert {one.partition(":")[0].strip() for one in args.split(",") if "=" in one} <= set(optional), name
