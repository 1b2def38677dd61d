"""Resources and their connections: the public data types of the compatibility contract.

Field names and positional order are fixed (`resourceID`, `meterPointId`, ...); fields that the
first generation did not have come last and have defaults. `flex_resources` re-exports these.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from typing import Any, TypeVar

from venclient.messages import registry as reg
from venclient.secrets import shown

E = TypeVar("E", bound=Enum)


class ConnectionType(StrEnum):
    """How a device is reached."""

    MODBUSTCP = "modbustcp"
    MQTT = "mqtt"
    FILEREADER = "filereader"


class ActorType(StrEnum):
    """Whether a connection measures or commands."""

    READER = "reader"
    WRITER = "writer"


class ResourceType(StrEnum):
    """What a resource is; `Resource.resourceType` holds the member's name."""

    DSR = "Demand Response"
    BATTERY = "Battery"
    PV = "Photovoltaic"
    EV = "Electric Vehicle"


#: What a connection of each type must name before anything can be read through it.
NEEDED = {
    ConnectionType.MODBUSTCP: ("host",),
    ConnectionType.MQTT: ("host", "topic"),
    ConnectionType.FILEREADER: ("file",),
}
#: Name of an enum -> what messages call it.
KINDS = {
    "ConnectionType": "connection type",
    "ActorType": "actor type",
    "ResourceType": "resource type",
}


def enum_member(kind: type[E], text: E | str) -> E:
    """Return the member that `text` names or values, in any case; ValueError lists the known ones."""
    if isinstance(text, kind):
        return text
    wanted = str(text).strip().casefold()
    for member in kind:
        if wanted in (member.name.casefold(), str(member.value).casefold()):
            return member
    known = [member.name for member in kind]
    choice = f"{', '.join(known[:-1])} or {known[-1]}"
    raise ValueError(reg.UNKNOWN_TYPE(kind=KINDS.get(kind.__name__, kind.__name__), value=text, known=choice))


@dataclass
class Connection:
    """How to reach one device.

    `type` and `actortype` take a member, or its name or value in any case. `options` holds what the
    connection type needs beyond host, port, topic and file (register map, payload mapping, polling);
    see the page of the connector. `id` is the registry's row id, None before it is stored.
    """

    type: ConnectionType
    actortype: ActorType
    host: str | None = None
    port: int | None = None
    topic: str | None = None
    file: str | None = None
    username: str | None = None
    password: str | None = None
    options: dict[str, Any] | None = None
    id: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if type(self.type) is not ConnectionType:
            self.type = enum_member(ConnectionType, self.type)
        if type(self.actortype) is not ActorType:
            self.actortype = enum_member(ActorType, self.actortype)

    def __repr__(self) -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        login = {name: shown(values[name]) for name in ("username", "password")}
        parts = (
            f"{name}={'***' if login.get(name) == '***' else repr(value)}" for name, value in values.items()
        )
        return f"Connection({', '.join(parts)})"

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that this type of connection needs and that are empty, such as ("host", "topic")."""
        return tuple(name for name in NEEDED[self.type] if _is_blank(getattr(self, name)))

    @property
    def has_source(self) -> bool:
        """Whether the connection is complete: False for one that is stored to be filled in later."""
        return not self.missing

    @property
    def endpoint(self) -> str:
        """Where it is, for people: "modbustcp 192.0.2.1:502", "mqtt broker:1883 topic", "filereader path"."""
        place = f"{self.host}:{self.port}" if self.port else self.host
        parts = (getattr(self.type, "value", self.type), place, self.topic, self.file)
        return " ".join(str(part) for part in parts if part)


@dataclass
class Resource:
    """One meter point or flexible asset.

    `capacities` holds P_max_kw, P_min_kw, E_max_kwh, E_min_kwh; `location` latitude and longitude in
    degrees. Power counts from the grid's side: consumption is positive, production negative. `version`
    counts the changes in the registry, None before it is stored.
    """

    resourceID: str
    resourceName: str
    resourceType: str
    resourceSubType: str | None
    meterPointId: str
    connection: Connection
    capacities: dict[str, Any]
    location: dict[str, Any]
    address: str | None = None
    enabled: bool | None = None
    reporting: dict[str, Any] | None = None
    ven: str | None = None
    control_connection: Connection | None = None
    version: int | None = field(default=None, compare=False)


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
