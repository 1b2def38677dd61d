"""`ven vtn discover`, `ven vtn diff` and `ven vtn register`: VTNs found, and what they hold of us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.doctor import quiet
from venclient.cli.service import DEFAULT_CONFIG, ConfigOption, JsonOption
from venclient.messages import Message, with_code
from venclient.messages import cli_reports as clp
from venclient.messages.printable import foreign
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from venclient.client import Progress
    from venclient.registrar import Comparison, Served
    from venclient.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Find VTNs, compare and register this site's objects there.")

VtnOption = Annotated[
    str | None, typer.Option("--vtn", help="A further VTN: NAME of [vtns.NAME].", show_default=False)
]
AtOnceOption = Annotated[int, typer.Option(help="How many requests at the same time.", min=1, max=64)]
#: So many of each kind are named; `--json` names all.
SHOWN = 20


@app.command("discover")
def discover(
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to listen.", min=0.1, max=600)] = 5.0,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            help="Listen there only: an address of this machine; may be repeated.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find VTNs on the local network (mDNS).

    Prints the lines for ven.toml of each VTN that announces itself.

    Nothing is connected to, and no file is changed. Exit status 1 when none is found.
    """
    import asyncio

    from venclient.client.discovery import discover as look
    from venclient.clock import SystemClock

    found = asyncio.run(look(SystemClock(), within_s=timeout_s, interfaces=interface))
    if as_json:
        import msgspec

        rows = [{**msgspec.to_builtins(one), "settings": one.settings()} for one in found]
        say_json(json.dumps(rows, ensure_ascii=False, indent=2))
    for one in () if as_json else found:
        spoken = f"OpenADR {one.version}" if one.version else clp.NO_VERSION()
        login = {True: clp.LOGIN(), False: clp.NO_LOGIN(), None: clp.LOGIN_UNKNOWN()}
        say(f"{one.name}: {spoken}, {login[one.requires_auth]}")
        if one.host or one.addresses:
            at = f" ({', '.join(one.addresses)})" if one.addresses else ""
            say(f"  {clp.HOST(host=one.host or '-', addresses=at, port=one.port or '-')}")
        if one.program_names:
            say(f"  {clp.PROGRAMS(names=one.program_names)}")
        if one.openapi_url:
            say(f"  {clp.OPENAPI(url=one.openapi_url)}")
        for note in one.notes:
            say(f"  {clp.NOTE_LINE(note=note)}")
        if lines := one.settings():
            say(f"  {clp.WRITE_SETTINGS()}", "")
            say(*(f"    {line}" for line in lines.splitlines()), "")
    if not found:
        if not as_json:
            nothing = clp.NO_VTN(seconds=timeout_s)
            say(f"{nothing}; {nothing.hint} [{nothing.code}]")
        raise typer.Exit(1)


@app.command("diff")
def diff(config: ConfigOption = DEFAULT_CONFIG, vtn: VtnOption = None, as_json: JsonOption = False) -> None:
    """Compare this site's objects at the VTN.

    They are compared with the registry, field by field.

    Nothing is changed. Exit status 1 when a resource has to be created or updated; extra resources at the
    VTN are only listed.
    """
    import asyncio

    from venclient.registrar import compare

    own, served = _side(config, vtn)

    async def look() -> Comparison:
        async with _client(own) as client:
            return await compare(client, own, served)

    with quiet("venclient.client.exchange"):  # a VTN that is away is this command's own error
        found = asyncio.run(look())
    if as_json:
        say_json(json.dumps(_plain(own, vtn, found), ensure_ascii=False, indent=2))
    else:
        _show(own, vtn, found)
    if found.ven is None or not found.what.is_empty:
        raise typer.Exit(1)


@app.command("register")
def register(
    config: ConfigOption = DEFAULT_CONFIG,
    vtn: VtnOption = None,
    delete_extra: Annotated[
        bool, typer.Option("--delete-extra", help="Delete resources there that the registry does not have.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    at_once: AtOnceOption = 8,
    as_json: JsonOption = False,
) -> None:
    """Register the VEN and its resources at a VTN.

    Creates, updates and adopts them, as a gateway does at its start.

    You can interrupt it and run it again; completed work is kept. Exit status 1 when the VTN rejected
    something. Nothing is deleted without --delete-extra.
    """
    import asyncio

    from venclient.errors import ConfigError
    from venclient.registrar import Removed, remove
    from venclient.registrar import register as bring_in_line

    own, served = _side(config, vtn)
    if delete_extra and as_json and not yes:
        raise ConfigError(clp.JSON_CANNOT_ASK(), subject="--delete-extra")
    if delete_extra and served.problems:
        raise ConfigError(clp.RECORDS_UNREADABLE(problem=served.problems[0]), subject="--delete-extra")

    async def work() -> int:
        async with _client(own) as client:
            with _bar("registering") as show:
                found, done = await bring_in_line(client, own, served, at_once=at_once, progress=show)
            extra = found.what.extra
            gone = Removed()
            if delete_extra and extra and (yes or _confirmed(own, found)):
                with _bar("deleting") as show:
                    gone = await remove(
                        client, found.ven.id if found.ven else None, extra, at_once=at_once, progress=show
                    )
        refused = {**done.refused, **gone.refused}
        stopped = done.stopped or gone.stopped
        outcome = {
            "created": done.created,
            "updated": done.updated,
            "as_they_should_be": len(found.what.adopt),
            "refused": {name: str(error) for name, error in refused.items()},
            "stopped": str(stopped) if stopped else None,
            "extra": len(extra) - gone.deleted,
            "deleted": gone.deleted,
        }
        if as_json:
            say_json(json.dumps(_head(own, vtn, found) | outcome, ensure_ascii=False, indent=2))
        else:
            _show_done(own, vtn, found, outcome, asked=delete_extra)
        return 1 if refused or stopped else 0

    with quiet("venclient.client.exchange"):
        status = asyncio.run(work())
    if status:
        raise typer.Exit(status)


def _side(config: Any, vtn: str | None) -> tuple[Settings, Served]:
    from venclient.registrar import served_resources, side_of
    from venclient.settings import load_settings

    own = side_of(load_settings(config), vtn)
    return own, served_resources(own)


def _client(own: Settings) -> Any:
    from venclient.client import VenClient
    from venclient.clock import SystemClock
    from venclient.vtn_link import account_of

    return VenClient(account_of(own), SystemClock())


def _confirmed(own: Settings, found: Comparison) -> bool:
    names = [one.resource_name for one in found.what.extra]
    say(*(f"  {line}" for line in _named(names)))
    return typer.confirm(clp.CONFIRM(count=len(names), url=own["vtn.url"]))


@contextmanager
def _bar(what: str) -> Iterator[Callable[[Progress], None]]:
    """Return what shows how far it is, on standard error: a bar where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def tell(progress: Progress) -> None:
            failed = f" ({progress.failed} refused)" if progress.failed else ""
            bar.update(task, completed=progress.done, total=progress.of, description=what + failed)

        yield tell


def _named(names: Iterable[str]) -> list[str]:
    every = list(names)
    more = [clp.MORE(count=len(every) - SHOWN)] if len(every) > SHOWN else []
    return every[:SHOWN] + more


def _head(own: Settings, vtn: str | None, found: Comparison) -> dict[str, Any]:
    return {
        "vtn": vtn or "",
        "url": own["vtn.url"],
        "ven": {"name": own["ven.name"], "id": found.ven.id if found.ven else None},
        "problems": [with_code(one) for one in found.problems],
    }


def _plain(own: Settings, vtn: str | None, found: Comparison) -> dict[str, Any]:
    import msgspec

    what = found.what
    return _head(own, vtn, found) | {
        "create": [one.name for one in what.create],
        "update": [
            {
                "name": one.wanted.name,
                "id": one.held.id,
                "drifts": [
                    {
                        "member": drift.member,
                        "held": msgspec.to_builtins(drift.held),
                        "wanted": msgspec.to_builtins(drift.wanted),
                    }
                    for drift in one.drifts
                ],
            }
            for one in what.update
        ],
        "adopt": [{"name": one.resource_name, "id": one.id} for one in what.adopt],
        "extra": [{"name": one.resource_name, "id": one.id} for one in what.extra],
    }


def _show(own: Settings, vtn: str | None, found: Comparison) -> None:
    what = found.what
    name = own["ven.name"]
    say(own["vtn.url"])
    say(clp.VEN_KNOWN(ven=name, id=found.ven.id) if found.ven else clp.VEN_UNKNOWN(ven=name))
    say(clp.UNCHANGED(count=len(what.adopt)))
    extra = [f"{foreign(one.resource_name)} (id {foreign(one.id or '-')})" for one in what.extra]
    parts: list[tuple[Message, str, list[str]]] = [
        (clp.TO_CREATE, "+", [one.name for one in what.create]),
        (clp.EXTRA, "?", extra),
    ]
    if what.update:
        say(clp.TO_UPDATE(count=len(what.update)))
    for one in what.update[:SHOWN]:
        say(f"  ~ {one.wanted.name}")
        for drift in one.drifts:
            say(f"      {drift}")
    if len(what.update) > SHOWN:
        say(f"  {clp.MORE(count=len(what.update) - SHOWN)}")
    for title, mark, names in parts:
        if names:
            say(title(count=len(names)))
            for line in _named(names):
                say(f"  {mark} {line}")
    for line in _named(with_code(one) for one in found.problems):
        say(clp.NOTE(problem=line))
    if found.ven is None or not what.is_empty:
        say(clp.HOW_TO_REGISTER(option=_option(vtn)))
    if what.extra:
        say(clp.HOW_TO_DELETE(option=_option(vtn)))


def _option(vtn: str | None) -> str:
    """Return the option that a hint adds to a command for a further VTN."""
    return f" --vtn {vtn}" if vtn else ""


def _show_done(
    own: Settings, vtn: str | None, found: Comparison, told: dict[str, Any], *, asked: bool
) -> None:
    done = clp.DONE(
        ven=own["ven.name"],
        id=found.ven.id if found.ven else "-",
        url=own["vtn.url"],
        created=told["created"],
        updated=told["updated"],
        unchanged=told["as_they_should_be"],
        rejected=len(told["refused"]),
        deleted=told["deleted"],
    )
    say(done)
    for line in _named(clp.REJECTED(name=name, problem=error) for name, error in told["refused"].items()):
        say(line)
    for line in _named(with_code(one) for one in found.problems):
        say(clp.NOTE(problem=line))
    if told["extra"]:
        say(clp.EXTRA(count=told["extra"]))
        if not asked:
            say(clp.HOW_TO_DELETE(option=_option(vtn)))
    if told["stopped"]:
        stopped = clp.STOPPED(problem=told["stopped"])
        say(f"{stopped}; {stopped.hint} [{stopped.code}]")
