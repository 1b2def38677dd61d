"""Options checked without opening anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.sites import make_resource
from venclient.connectors import option_problems
from venclient.model.resource import ConnectionType

VALUES = [{"path": "/p", "quantity": "power_kw", "unit": "kW"}]


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (ConnectionType.MQTT, {"values": VALUES}, []),
        (ConnectionType.MQTT, {"connector": "mqtt", "values": VALUES}, []),
        (ConnectionType.MQTT, {"values": VALUES, "qoss": 1}, ["options.qoss: no such option"]),
        (ConnectionType.MQTT, {"qos": 7, "values": []}, ["options.values", "options.qos"]),
        (ConnectionType.MODBUSTCP, {}, ["options.registers: missing"]),
        (ConnectionType.FILEREADER, None, []),
        (ConnectionType.FILEREADER, {"format": "xml"}, ["options.format"]),
        (ConnectionType.MQTT, {"connector": "smoke"}, ["options.connector: there is no connector 'smoke'"]),
    ],
)
def test_mistakes_of_each_connector(
    kind: ConnectionType, options: dict[str, Any] | None, told: list[str]
) -> None:
    """Each connector's own form finds every mistake, though host, topic and file are not there."""
    found = option_problems(make_resource(kind, options=options))

    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))
