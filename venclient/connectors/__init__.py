"""Connectors: how each kind of meter is read. The table below is all there is to see from outside.

A connector is one module with a function that turns a resource into a `Reader` (`base.py`); it is
imported when the first connection of its kind is opened. Packages of others register theirs as an
entry point of the group `venclient.connectors`; a connection chooses one by `options["connector"]`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from venclient.connectors.base import Batch, OpenReader, OpenWriter, Reader, Site, Writer
from venclient.connectors.leases import Leases
from venclient.connectors.mistakes import shown
from venclient.connectors.options import check_options, quality_problems, refuse, without, without_quality
from venclient.errors import ConfigError
from venclient.messages import connectors as con
from venclient.model.quality import COMMON, silence_limit_s
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource

__all__ = [
    "CONNECTORS",
    "ENTRY_POINTS",
    "WRITERS",
    "WRITER_POINTS",
    "Batch",
    "Leases",
    "Reader",
    "Site",
    "Writer",
    "known_connectors",
    "open_reader",
    "open_writer",
    "option_problems",
    "read_meter",
    "writer_for",
]

ENTRY_POINTS = "venclient.connectors"
WRITER_POINTS = "venclient.writers"


def _lazy(module: str, function: str) -> OpenReader:
    def open_it(resource: Resource, site: Site) -> Reader:
        opener: OpenReader = getattr(importlib.import_module(f"{__name__}.{module}"), function)
        return opener(resource, site)

    return open_it


def _lazy_writer(module: str, function: str) -> OpenWriter:
    def open_it(resource: Resource, site: Site) -> Writer:
        opener: OpenWriter = getattr(importlib.import_module(f"{__name__}.{module}"), function)
        return opener(resource, site)

    return open_it


CONNECTORS: Mapping[str, OpenReader] = MappingProxyType(
    {
        ConnectionType.MODBUSTCP.value: _lazy("modbus_device", "open_modbus_device"),
        ConnectionType.MQTT.value: _lazy("mqtt", "open_mqtt_reader"),
        ConnectionType.FILEREADER.value: _lazy("file", "open_file_reader"),
    }
)


#: Connections that devices are commanded by, and the writers that serve them.
WRITERS: Mapping[str, OpenWriter] = MappingProxyType(
    {ConnectionType.MODBUSTCP.value: _lazy_writer("modbus_writer", "open_modbus_writer")}
)

#: Where the form of each connector's options is.
_FORMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ConnectionType.MODBUSTCP.value: ("modbus", "ModbusOptions"),
        ConnectionType.MQTT.value: ("mqtt", "MqttOptions"),
        ConnectionType.FILEREADER.value: ("file_format", "FileOptions"),
    }
)


def known_connectors() -> tuple[str, ...]:
    """Return the names of all connectors, built in or installed, in order."""
    return tuple(sorted({*CONNECTORS, *_installed()}))


def open_reader(resource: Resource, site: Site) -> Reader:
    """Build the reader of a resource's connection; nothing is connected before its first `read()`.

    ConfigError names an unknown connector, or everything that is wrong with the connection.
    """
    connection = resource.connection
    if problems := quality_problems(connection.options, named=_quantities(connection)):
        raise refuse(resource, [*problems, *_others(resource)], page="docs/explanation/quality.md")
    site = replace(site, secret=_secret_of(resource, site.secret))
    name = (connection.options or {}).get("connector", connection.type.value)
    if name in CONNECTORS:
        return CONNECTORS[name](_without_choice(resource), site)
    installed = _installed().get(name) if isinstance(name, str) else None
    if installed is None:
        raise ConfigError(
            con.NO_CONNECTOR(name=shown(name), known=known_connectors()),
            subject=f"{resource.resourceName} ({connection.endpoint})",
        )
    opener: OpenReader = _loaded(installed, f"{resource.resourceName} ({connection.endpoint})")
    return opener(_without_choice(resource), site)


def writer_for(connection: Connection) -> OpenWriter:
    """Return the function that opens the writer of a connection that commands a device.

    ConfigError when there is none: it names those that there are. A package brings one as an entry point of
    the group `venclient.writers`, and a connection chooses it by `options["connector"]`.
    """
    name = (connection.options or {}).get("connector", connection.type.value)
    if name in WRITERS:
        return WRITERS[name]
    points = {point.name: point for point in entry_points(group=WRITER_POINTS)}
    if isinstance(name, str) and name in points:
        opener: OpenWriter = _loaded(points[name], connection.endpoint)
        return opener
    raise ConfigError(
        con.CANNOT_WRITE(name=shown(name), known=sorted({*WRITERS, *points})), subject=connection.endpoint
    )


def open_writer(resource: Resource, site: Site) -> Writer:
    """Build the writer of a resource: of its control connection, else of a connection that is a WRITER.

    Nothing is connected before its first `write()`. ConfigError names everything that is wrong with it.
    """
    connection = resource.control_connection or resource.connection
    opener = writer_for(connection)
    commanding = _without_choice(replace(resource, connection=connection, control_connection=None))
    return opener(commanding, replace(site, secret=_secret_of(commanding, site.secret)))


def option_problems(resource: Resource) -> list[str]:
    """Return one sentence per mistake in the options of a resource's connection; nothing is opened.

    A WRITER is held against what commanding takes; MODBUSTCP is what can be commanded. What a connector of
    another package wants is known only to its opener, so nothing is said of those.
    """
    if resource.connection.actortype is ActorType.WRITER:
        return _writer_problems(resource.connection)
    connection = resource.connection
    return [*_others(resource), *quality_problems(connection.options, named=_quantities(connection))]


def _others(resource: Resource) -> list[str]:
    """Return the mistakes in the connector's own options."""
    options = dict(without_quality(resource).connection.options or {})
    name = options.pop("connector", resource.connection.type.value)
    if name == ConnectionType.MODBUSTCP.value and "template" in options:
        from venclient.connectors.modbus_device import template_problems

        return template_problems(options)
    if isinstance(name, str) and name in _FORMS:
        module, form = _FORMS[name]
        return check_options(options, getattr(importlib.import_module(f"{__name__}.{module}"), form))[1]
    if name in known_connectors():
        return []
    return [con.OPTION_CONNECTOR(name=shown(name), known=known_connectors())]


def _quantities(connection: Connection) -> set[str] | None:
    """Return the quantities that a connection has beside those that its options name; None if not known."""
    options = connection.options or {}
    name = options.get("connector", connection.type.value)
    if not isinstance(name, str) or name not in CONNECTORS:
        return None
    if connection.type is not ConnectionType.MODBUSTCP or "template" not in options:
        return set()
    from venclient.connectors.modbus_device import template_quantities

    return template_quantities(without(options, *COMMON))


def _writer_problems(connection: Connection) -> list[str]:
    options = dict(connection.options or {})
    if options.pop("connector", connection.type.value) != ConnectionType.MODBUSTCP.value:
        return []
    from venclient.connectors.modbus_writer import writing_options

    return writing_options(replace(connection, options=options))[2]


def read_meter(
    connection: Connection,
    meter_point_id: str,
    *,
    timeout_s: float = 10.0,
    folder: Path | str | None = None,
) -> float:
    """Return a meter's power now, in kW, by reading it once; blocks until the value is there.

    MODBUSTCP asks the device; MQTT waits up to `timeout_s` for the retained or next message; FILEREADER
    gives the last row. Where a meter reports only the energy of intervals, it is the mean power of the
    last one. Relative files start at `folder`, by default the current one, else its `config/`. May be
    called inside a running event loop, which then stands still meanwhile. Raises a ConnectorError or
    ConfigError with the reason when the meter has none.
    """
    from venclient.connectors.snapshot import read_power_now

    return read_power_now(connection, meter_point_id, timeout_s=timeout_s, folder=folder)


def _secret_of(resource: Resource, secret: Callable[[str], str]) -> Callable[[str], str]:
    """Wrap `secret` to name the connection in the error of a secret that cannot be resolved or opened."""

    def resolved(text: str) -> str:
        try:
            return secret(text)
        except ConfigError as error:
            subject = f"{resource.resourceName} ({resource.connection.endpoint}): {error.subject}"
            raise ConfigError(error.what, subject=subject, hint=error.hint) from error

    return resolved


def _loaded(point: EntryPoint, subject: str) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            con.CONNECTOR_BROKEN(name=shown(point.name), error=error, package=point.value), subject=subject
        ) from error


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _without_choice(resource: Resource) -> Resource:
    """Return the resource without the options that are not the connector's own."""
    limit_s = silence_limit_s(resource.connection.options)
    resource = without_quality(resource)
    options = resource.connection.options
    if limit_s and resource.connection.type is ConnectionType.MQTT and not (options or {}).get("connector"):
        options = {"silence_s": limit_s} | (options or {})
        return replace(resource, connection=replace(resource.connection, options=options))
    if not options or "connector" not in options:
        return resource
    rest = {key: value for key, value in options.items() if key != "connector"}
    return replace(resource, connection=replace(resource.connection, options=rest))
