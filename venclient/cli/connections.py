"""`ven connections test` and `ven connections scan`: a device looked at while it is being connected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.resources import DEFAULT_REGISTRY, RegistryOption
from venclient.messages import cli_meters as clm
from venclient.messages import in_full, with_code
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from venclient.connectors.base import Site
    from venclient.connectors.modbus_survey import Asked, Examination, UnitFound
    from venclient.model.reading import Reading, Reject
    from venclient.model.resource import Resource

app = typer.Typer(no_args_is_help=True, help="Try connections to devices, and find devices.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("test")
def try_connection(
    resource: Annotated[
        str | None, typer.Argument(help="Id or name of a resource.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A connection in a TOML file instead.", show_default=False)
    ] = None,
    db: RegistryOption = DEFAULT_REGISTRY,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for a message (MQTT).", min=0.1, max=3600)
    ] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Try a connection once and show what comes back.

    Prints requests, raw words, numbers and values, and what to change if nothing comes.

    Exit status 1 when a request failed, or no value came. A device that allows a single connection cannot be
    tried while the gateway holds it.
    """
    from venclient.cli.read import show_doubts
    from venclient.connectors.modbus_survey import examine
    from venclient.connectors.snapshot import one_shot_site, run_to_end
    from venclient.errors import ConfigError
    from venclient.model.resource import ConnectionType

    if (resource is None) == (file is None):
        raise ConfigError(clm.ONE_OF_BOTH())
    if file is not None:
        chosen, folder = _from_file(file), file.resolve().parent
    else:
        from venclient.cli.read import find_resource, folder_of

        chosen, folder = find_resource(db, resource or ""), folder_of(db)
    site = one_shot_site(folder)
    if chosen.connection.type is ConnectionType.MODBUSTCP and "connector" not in (
        chosen.connection.options or {}
    ):
        found = run_to_end(examine(chosen, site))
        if as_json:
            say_json(json.dumps(_plain(found), ensure_ascii=False))
        else:
            say(f"{chosen.resourceName}  {chosen.connection.endpoint}  unit {found.unit}")
            _show(found)
            show_doubts(chosen, _readings_of(chosen, found))
        if not found.ok:
            raise typer.Exit(1)
        return
    if not _snapshot(chosen, site, timeout_s, as_json=as_json):
        raise typer.Exit(1)


def _snapshot(chosen: Resource, site: Site, timeout_s: float, *, as_json: bool) -> bool:
    """Print what a connection without requests has now, and return whether that is anything."""
    from venclient.cli.read import show_doubts, show_rejects
    from venclient.connectors.snapshot import run_to_end, take_snapshot

    notes: list[str] = []
    rejects: list[Reject] = []
    work = take_snapshot(chosen, site, timeout_s=timeout_s, notes=notes, rejects=rejects)
    readings = run_to_end(work)
    newest = {quantity: values[-1] for quantity, values in sorted(readings.items())}
    if as_json:
        say_json(json.dumps({q: {"value": r.value, "time": r.time.isoformat()} for q, r in newest.items()}))
    else:
        say(f"{chosen.resourceName}  {chosen.connection.endpoint}")
        for note in notes:
            say(f"  {note}")
        for quantity, reading in newest.items():
            shown = _with_unit(quantity, reading.value)
            say(f"  {quantity}  {shown}  {reading.time:%Y-%m-%d %H:%M:%S} UTC")
        if not newest:
            say(f"  {clm.NO_VALUE_NOW()}")
        show_rejects(rejects)
        show_doubts(chosen, newest.values())
    return bool(newest)


@app.command("scan")
def scan(
    host: Annotated[str, typer.Argument(help="Name or address of the device or gateway.")],
    port: Annotated[int, typer.Option(help="Its port.", min=1, max=65535)] = 502,
    units: Annotated[str, typer.Option(help="Unit ids, such as 1-16 or 1,3,100-110.")] = "1-16",
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for each unit.", min=0.05, max=60)
    ] = 1.0,
    rtu: Annotated[bool, typer.Option("--rtu", help="RTU frames over TCP.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find Modbus units behind a host.

    Prints the kinds of registers that each unit has, templates that fit, which device that probably is,
    and the connection and commands to use it.

    Exit status 1 when there is none.
    """
    import asyncio

    from venclient.cli.scan_conclusion import conclusion, place_of
    from venclient.clock import SystemClock
    from venclient.connectors import modbus_survey

    wanted = _units(units)

    async def look() -> list[UnitFound]:
        found = []
        seen = modbus_survey.scan(
            host, port, wanted, clock=SystemClock(), timeout_s=timeout_s, framer="rtu" if rtu else "tcp"
        )
        async for unit in seen:
            found.append(unit)
            if not as_json:
                kinds = ", ".join(f"{kind}: {said}" for kind, said in unit.kinds.items())
                say(f"unit {unit.unit:>3}  {unit.took_ms:>7.1f} ms  {kinds}")
                for name, evidence in unit.templates.items():
                    say(f"          template {name}: {evidence}")
        return found

    found = asyncio.run(look())
    if as_json:
        import msgspec

        say_json(json.dumps(msgspec.to_builtins(found), ensure_ascii=False))
    elif not found:
        place = place_of(host, port, rtu=rtu)
        say(in_full(clm.NO_UNIT(host=host, port=port, units=units, place=place)))
    else:
        for line in conclusion(found, host, port, rtu=rtu):
            say(with_code(line))
    if not found:
        raise typer.Exit(1)


def _units(text: str) -> list[int]:
    from venclient.errors import ConfigError

    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            break
        span = range(int(first), int(last or first) + 1)
        if not span or span[-1] > 255:
            break
        found += span
    else:
        return list(dict.fromkeys(found))
    raise ConfigError(clm.UNITS(units=repr(part.strip())), subject="--units")


def _from_file(path: Path) -> Resource:
    """Return a resource with the connection that a TOML file describes."""
    import tomllib

    import msgspec

    from venclient.errors import ConfigError
    from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, enum_member
    from venclient.toml_lines import line_of_error, lines_of

    subject = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(clm.FILE_READ(error=error.strerror), subject=subject) from error
    except tomllib.TOMLDecodeError as error:
        where = f"{path}:{line_of_error(error, text)}"
        raise ConfigError(clm.FILE_TOML(error=error), subject=where) from error
    except UnicodeDecodeError as error:
        raise ConfigError(clm.FILE_TOML(error=error), subject=subject) from error
    lines = lines_of(text)
    known = {"type", "host", "port", "topic", "file", "username", "password", "options"}
    if unknown := sorted(given.keys() - known, key=lambda name: lines[name,]):
        where = f"{path}:{lines[unknown[0],]}"
        raise ConfigError(clm.FILE_UNKNOWN(names=unknown, known=known), subject=where)
    forms: dict[str, Any] = {"port": int, "options": dict[str, Any]}
    checked: dict[str, Any] = {}
    kind = ConnectionType.MODBUSTCP
    for name, value in given.items():
        try:
            if name == "type":
                kind = enum_member(ConnectionType, value)
            else:
                checked[name] = msgspec.convert(value, forms.get(name, str))
        except (ValueError, msgspec.ValidationError) as error:
            where = f"{path}:{lines[name,]}: {name}"
            raise ConfigError(clm.FILE_VALUE(error=error), subject=where) from error
    return Resource(
        resourceID=path.stem,
        resourceName=path.stem,
        resourceType="DSR",
        resourceSubType=None,
        meterPointId=path.stem,
        connection=Connection(kind, ActorType.READER, **checked),
        capacities={},
        location={},
    )


def _readings_of(chosen: Resource, found: Examination) -> list[Reading]:
    """Return the values that an examination found, as read now."""
    from venclient.clock import SystemClock
    from venclient.model.reading import Reading

    now = SystemClock().now()
    seen = [one for asked in found.asked for one in asked.seen if one.value is not None]
    return [
        *(Reading(chosen.resourceID, one.quantity, one.value or 0.0, now) for one in seen),
        *found.readings,
    ]


def _show(found: Examination) -> None:
    say(clm.PLAN(count=len(found.planned), places="; ".join(found.planned)))
    if {one.place for one in found.asked} - set(found.planned):
        say(clm.PLAN_CHANGED())
    for one in found.asked:
        _show_request(one)
    for reading in found.readings:
        say("computed", f"  {reading.quantity}  {_with_unit(reading.quantity, reading.value)}")


def _show_request(one: Asked) -> None:
    if one.error:
        say(f"{one.place}: {one.error}")
    else:
        say(clm.ANSWERED(place=one.place, took_ms=one.took_ms))
    for said in one.advice:
        say(f"  try: {said}")
    width = max((len(seen.quantity) for seen in one.seen), default=0)
    for seen in one.seen:
        raw = "no number" if seen.raw is None else seen.raw if isinstance(seen.raw, str) else f"{seen.raw:g}"
        value = "no value" if seen.value is None else _with_unit(seen.quantity, seen.value)
        say(f"  {seen.quantity:<{width}}  {seen.words}  ->  {raw}  ->  {value}")
        if seen.hint:
            say(f"  {'':<{width}}  {seen.hint}")


def _with_unit(quantity: str, value: float) -> str:
    from venclient.connectors.units import unit_of

    return f"{value:g} {unit_of(quantity) or ''}".rstrip()


def _plain(found: Examination) -> Any:
    import msgspec

    return {"ok": found.ok, **msgspec.to_builtins(found)}
