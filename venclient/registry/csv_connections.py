"""How the meter of an imported site is reached: by columns, by the mapping, or by a file still to come."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

from venclient.messages import importing as imp
from venclient.messages import text_of
from venclient.model.resource import ActorType, Connection, ConnectionType
from venclient.registry.csv_synonyms import connection_type as named_type

#: Where a site's meter file is expected while nothing says how its meter is reached.
EXPECTED_METER_FILE = "meterdata/{meterpoint_id}.csv"

_NEEDS = {
    ConnectionType.MODBUSTCP: ("host",),
    ConnectionType.MQTT: ("host", "topic"),
    ConnectionType.FILEREADER: ("file",),
}


_MODBUS_PORTS = (502, 802, 1502, 5020)
_MQTT_PORTS = (1883, 8883)


class BadField(ValueError):
    """A row's connection is invalid; `target` is the meaning of the bad column."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(reason)
        self.target = target
        self.reason = reason


def told_connection(
    texts: Mapping[str, str | None], pattern: Connection | None, names: Mapping[str, str]
) -> Connection | None:
    """Return the connection that columns and pattern describe, None when they describe none.

    `names` fill `{resource_id}` and `{meterpoint_id}` in topic and file. BadField says what is missing.
    """
    cells = [texts.get(name) for name in ("connection_type", "host", "port", "topic", "file", "template")]
    if pattern is None and not any(cells):
        return None
    kind, host, port, topic, file, template = cells
    base = copy.deepcopy(pattern) or Connection(ConnectionType.FILEREADER, ActorType.READER)
    try:
        connection_type = named_type(kind) if kind else base.type
    except ValueError as error:
        raise BadField("connection_type", text_of(error)) from None
    if port is not None and not (
        port.isascii() and port.isdigit() and len(port) < 10 and 0 < int(port) < 65_536
    ):
        raise BadField("port", imp.PORT(port=port))
    connection = replace(
        base,
        type=connection_type,
        host=host or base.host,
        port=int(port) if port else base.port,
        topic=_filled(topic or base.topic, names),
        file=_filled(file or base.file, names),
        options={**(base.options or {}), "template": template} if template else base.options,
    )
    if kind is None and pattern is None:
        connection = replace(connection, type=_assumed_type(connection))
    for need in _NEEDS[connection.type]:
        if not getattr(connection, need):
            raise BadField(need, imp.CONNECTION_NEEDS(type=connection.type.name, need=need))
    return connection


def _assumed_type(connection: Connection) -> ConnectionType:
    """Return the type that template, host, port, topic and file stand for where no column says it."""
    if (connection.options or {}).get("template"):
        return ConnectionType.MODBUSTCP  # templates describe Modbus devices
    if connection.file:
        return ConnectionType.FILEREADER
    if connection.topic or connection.port in _MQTT_PORTS:
        return ConnectionType.MQTT
    if connection.host and connection.port in (None, *_MODBUS_PORTS):
        return ConnectionType.MODBUSTCP
    if connection.host:
        raise BadField("connection_type", imp.NO_CONNECTION_TYPE(port=connection.port))
    raise BadField("host", imp.PORT_WITHOUT_HOST(port=connection.port))


def expected_file(names: Mapping[str, str]) -> Connection:
    """Return the default connection of a site: its meter file, to be put in place."""
    return Connection(ConnectionType.FILEREADER, ActorType.READER, file=EXPECTED_METER_FILE.format_map(names))


def _filled(text: str | None, names: Mapping[str, str]) -> str | None:
    for name, value in names.items():
        text = text.replace("{" + name + "}", value) if text else text
    return text
