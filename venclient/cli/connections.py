"""`ven connections test` and `ven connections scan`: a device looked at while it is being connected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.resources import DEFAULT_REGISTRY, RegistryOption
from venclient.messages import cli_meters as clm
from venclient.messages import with_code

if TYPE_CHECKING:
    from venclient.connectors.modbus_survey import Asked, Examination, UnitFound
    from venclient.model.reading import Reading
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

    Exit status 1 when something could not be read. A device that allows a single connection cannot be
    tried while the gateway holds it.
    """
    from venclient.cli.read import show_doubts
    from venclient.connectors.modbus_survey import examine
    from venclient.connectors.snapshot import one_shot_site, run_to_end, take_snapshot
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
            typer.echo(json.dumps(_plain(found), ensure_ascii=False))
        else:
            typer.echo(f"{chosen.resourceName}  {chosen.connection.endpoint}  unit {found.unit}")
            _show(found)
            show_doubts(chosen, _readings_of(chosen, found))
        if not found.ok:
            raise typer.Exit(1)
        return
    notes: list[str] = []
    readings = run_to_end(take_snapshot(chosen, site, timeout_s=timeout_s, notes=notes))
    newest = {quantity: values[-1] for quantity, values in sorted(readings.items())}
    if as_json:
        typer.echo(json.dumps({q: {"value": r.value, "time": r.time.isoformat()} for q, r in newest.items()}))
        return
    typer.echo(f"{chosen.resourceName}  {chosen.connection.endpoint}")
    for note in notes:
        typer.echo(f"  {note}")
    for quantity, reading in newest.items():
        typer.echo(
            f"  {quantity}  {_with_unit(quantity, reading.value)}  {reading.time:%Y-%m-%d %H:%M:%S} UTC"
        )
    show_doubts(chosen, newest.values())


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

    Prints the kinds of registers that each unit has, and templates that fit.

    Exit status 1 when there is none.
    """
    import asyncio

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
                typer.echo(f"unit {unit.unit:>3}  {unit.took_ms:>7.1f} ms  {kinds}")
                for name, evidence in unit.templates.items():
                    typer.echo(f"          template {name}: {evidence}")
        return found

    found = asyncio.run(look())
    if as_json:
        import msgspec

        typer.echo(json.dumps(msgspec.to_builtins(found), ensure_ascii=False))
    elif not found:
        typer.echo(with_code(clm.NO_UNIT(host=host, port=port, units=units)))
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
    """Give a resource with the connection that a TOML file describes."""
    import tomllib

    import msgspec

    from venclient.errors import ConfigError
    from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, enum_member

    subject = str(path)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(clm.FILE_READ(error=error.strerror), subject=subject) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(clm.FILE_TOML(error=error), subject=subject) from error
    known = {"type", "host", "port", "topic", "file", "username", "password", "options"}
    if unknown := sorted(given.keys() - known):
        raise ConfigError(clm.FILE_UNKNOWN(names=unknown, known=known), subject=subject)
    try:
        kind = enum_member(ConnectionType, given.pop("type", "MODBUSTCP"))
        forms: dict[str, Any] = {"port": int, "options": dict[str, Any]}
        checked = {name: msgspec.convert(value, forms.get(name, str)) for name, value in given.items()}
    except (ValueError, msgspec.ValidationError) as error:
        raise ConfigError(clm.FILE_VALUE(error=error), subject=subject) from error
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
    typer.echo(clm.PLAN(count=len(found.planned), places="; ".join(found.planned)))
    if len(found.asked) > len(found.planned):
        typer.echo(clm.PLAN_CHANGED())
    for one in found.asked:
        _show_request(one)
    for reading in found.readings:
        typer.echo(f"computed\n  {reading.quantity}  {_with_unit(reading.quantity, reading.value)}")


def _show_request(one: Asked) -> None:
    if one.error:
        typer.echo(f"{one.place}: {one.error}")
    else:
        typer.echo(clm.ANSWERED(place=one.place, took_ms=one.took_ms))
    for said in one.advice:
        typer.echo(f"  try: {said}")
    width = max((len(seen.quantity) for seen in one.seen), default=0)
    for seen in one.seen:
        raw = "no number" if seen.raw is None else seen.raw if isinstance(seen.raw, str) else f"{seen.raw:g}"
        value = "no value" if seen.value is None else _with_unit(seen.quantity, seen.value)
        typer.echo(f"  {seen.quantity:<{width}}  {seen.words}  ->  {raw}  ->  {value}")
        if seen.hint:
            typer.echo(f"  {'':<{width}}  {seen.hint}")


def _with_unit(quantity: str, value: float) -> str:
    from venclient.connectors.units import unit_of

    return f"{value:g} {unit_of(quantity) or ''}".rstrip()


def _plain(found: Examination) -> Any:
    import msgspec

    return {"ok": found.ok, **msgspec.to_builtins(found)}
