"""`ven simulate vtn`: the local VTN alone, for curl or a gateway in another terminal."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import venclient.cli.vtn_desk as desk_commands
from venclient.messages import simulation as sim
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from venclient.simulation.vtn import LocalVtn


app = typer.Typer(invoke_without_command=True)


@app.callback()
def vtn(
    context: typer.Context,
    port: Annotated[
        int, typer.Option("--port", help="TCP port; 0 takes a free one.", min=0, max=65535)
    ] = 8081,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; there is no TLS.")] = "127.0.0.1",
    version: Annotated[
        str, typer.Option("--openadr", help="Version of OpenADR to speak: 3.1 or 3.0.1.")
    ] = "3.1",
    base_path: Annotated[
        str | None,
        typer.Option("--base-path", help="Path before /programs; default by version."),
    ] = None,
    seed: Annotated[
        Path | None, typer.Option("--seed", help="TOML or JSON file of clients, programs, events and faults.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Keep objects in this file between runs.")
    ] = None,
    mqtt: Annotated[
        str | None, typer.Option("--mqtt", help="Send notifications to this broker: mqtt://host:1883.")
    ] = None,
    webhooks: Annotated[bool, typer.Option("--webhooks", help="Offer notifications by webhook.")] = False,
    websocket: Annotated[bool, typer.Option("--websocket", help="Offer notifications by WebSocket.")] = False,
    newest_first: Annotated[
        bool, typer.Option("--newest-first", help="List the newest objects first; pages then shift.")
    ] = False,
    unique_report_names: Annotated[
        bool, typer.Option("--unique-report-names", help="Reject a report name that is in use.")
    ] = False,
    strict_targets: Annotated[
        bool,
        typer.Option(
            "--strict-targets/--lenient-targets",
            help="Hide targeted objects from listings without targets=.",
        ),
    ] = False,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Accept VENs without a token.")] = False,
    token_lifetime: Annotated[
        float, typer.Option("--token-lifetime", help="Seconds until a token expires.", min=1)
    ] = 3600,
    as_json: Annotated[bool, typer.Option("--json", help="Print accepted reports as lines of JSON.")] = False,
) -> None:
    """Run a local OpenADR 3.1 VTN until Ctrl-C.

    Prints each accepted report.

    Run the subcommands in another terminal: they load, list and change events of the running VTN, and list
    its reports.
    """
    if context.invoked_subcommand is not None:
        return
    from venclient.errors import ConfigError
    from venclient.simulation.vtn import LocalVtn
    from venclient.simulation.vtn.push import Push

    if version not in ("3.1", "3.0.1"):
        raise ConfigError(sim.UNKNOWN_VERSION(version=version), subject="--openadr")
    server = LocalVtn(
        port,
        host=host,
        base_path=base_path,
        version="3.1" if version == "3.1" else "3.0.1",
        seed=seed,
        state=state,
        strict_targets=strict_targets,
        anonymous=anonymous,
        token_lifetime_s=token_lifetime,
        newest_first=newest_first,
        unique_report_names=unique_report_names,
        push=Push(mqtt_uri=mqtt, webhook=webhooks, websocket=websocket),
        on_change=_print_json if as_json else _print_line,
    )
    try:
        import asyncio

        asyncio.run(_serve(server, secrets_are_ours=seed is None, quiet=as_json))
    except KeyboardInterrupt:
        if not as_json:
            say(sim.STOPPED())


async def _serve(server: LocalVtn, *, secrets_are_ours: bool, quiet: bool) -> None:
    import asyncio
    import signal

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    try:
        async with server:
            if not quiet:
                _print_start(server, secrets_are_ours=secrets_are_ours)
            with _desk_open(server):
                await stopped.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _desk_open(server: LocalVtn) -> contextlib.AbstractContextManager[None]:
    """Open the VTN to the commands of this user, if it has an account for business logic."""
    bl = next((client for client in server.clients.values() if client.is_bl), None)
    if bl is None:
        return contextlib.nullcontext()
    return desk_commands.access(server.port, server.url, bl.id, bl.secret)


def _print_start(server: LocalVtn, *, secrets_are_ours: bool) -> None:
    say(sim.VTN_AT(url=server.url))
    for client in server.clients.values():
        role = "business logic" if client.is_bl else "VEN"
        # without a seed the secret was made up now, and this is the only place to learn it
        if secrets_are_ours:
            shown = sim.VTN_CLIENT_SECRET(client=client.id, role=role, secret=client.secret)
        else:
            shown = sim.VTN_CLIENT(client=client.id, role=role)
        say(f"  {shown}")
    holds = sim.VTN_HOLDS(programs=len(server.programs), events=len(server.events))
    say(f"  {holds}")


def _print_line(operation: str, content: dict[str, Any]) -> None:
    if content["objectType"] != "REPORT" or operation == "DELETE":
        return
    resources = content["resources"]
    intervals = sum(len(resource["intervals"]) for resource in resources)
    message = sim.REPORT_ACCEPTED if operation == "CREATE" else sim.REPORT_CORRECTED
    say(
        message(
            time=content["modificationDateTime"],
            name=content.get("reportName") or content["id"],
            client=content["clientID"],
            resources=len(resources),
            intervals=intervals,
        )
    )


def _print_json(operation: str, content: dict[str, Any]) -> None:
    import msgspec

    if content["objectType"] == "REPORT" and operation != "DELETE":
        say_json(msgspec.json.encode(content).decode())


for command in (desk_commands.load, desk_commands.events, desk_commands.change, desk_commands.delete):
    app.command(command.__name__)(command)
app.command("reports")(desk_commands.reports)
