"""Options checked without opening anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.sites import make_resource
from venclient.connectors import option_problems
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource

VALUES = [{"path": "/p", "quantity": "power_kw", "unit": "kW"}]


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (ConnectionType.MQTT, {"values": VALUES}, []),
        (ConnectionType.MQTT, {"connector": "mqtt", "values": VALUES}, []),
        (ConnectionType.MQTT, {"values": VALUES, "qoss": 1}, ["options.qoss: unknown option"]),
        (ConnectionType.MQTT, {"qos": 7, "values": []}, ["options.values", "options.qos"]),
        (ConnectionType.MODBUSTCP, {}, ["options.registers: missing"]),
        (ConnectionType.FILEREADER, None, []),
        (ConnectionType.FILEREADER, {"format": "xml"}, ["options.format"]),
        (ConnectionType.MQTT, {"connector": "smoke"}, ["options.connector: unknown connector"]),
    ],
)
def test_mistakes_of_each_connector(
    kind: ConnectionType, options: dict[str, Any] | None, told: list[str]
) -> None:
    """Each connector's own form finds every mistake, though host, topic and file are not there."""
    found = option_problems(make_resource(kind, options=options))

    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (
            ConnectionType.MODBUSTCP,
            {"registers": [{"address": 1, "type": "uint16", "quantity": "p_kw", "min": 0, "max": 1}]},
            [],
        ),
        (
            ConnectionType.MODBUSTCP,
            {"registers": [{"address": 1, "type": "uint16", "quantity": "p_kw"}]},
            ["min: missing", "max: missing"],
        ),
        (
            ConnectionType.MODBUSTCP,
            {"values": VALUES},
            ["options.registers: missing", "options.values: unknown"],
        ),
        (ConnectionType.MQTT, {"anything": 1}, []),
    ],
)
def test_a_writer_is_held_against_what_commanding_takes(
    kind: ConnectionType, options: dict[str, Any], told: list[str]
) -> None:
    """Only MODBUSTCP can be commanded: what others want is not known."""
    link = Connection(kind, ActorType.WRITER, host="192.0.2.1", options=options)

    found = option_problems(Resource("r", "R", "DSR", None, "7", link, {}, {}))

    assert len(found) == len(told)
    assert all(part in one for one, part in zip(found, told, strict=True))
