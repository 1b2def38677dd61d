"""The command `ven`: one module per group; what a command needs is imported when it runs.

Exit status: 0 all good; 1 done, but something was refused or a check failed; 2 wrong settings or
command line; 3 no gateway is running.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import typer

import venclient.cli.connections as connections_commands
import venclient.cli.db as db_commands
import venclient.cli.demo as demo_commands
import venclient.cli.doctor as doctor_commands
import venclient.cli.events as events_commands
import venclient.cli.importing as importing_commands
import venclient.cli.meterdata as meterdata_commands
import venclient.cli.read as read_commands
import venclient.cli.readings as readings_commands
import venclient.cli.reports as reports_commands
import venclient.cli.resources as resources_commands
import venclient.cli.resources_history as history_commands
import venclient.cli.resources_set as set_commands
import venclient.cli.service as service_commands
import venclient.cli.simulate_vtn as simulate_vtn_commands
import venclient.cli.templates as templates_commands
import venclient.cli.vtn as vtn_commands
from venclient import __version__
from venclient.coded_log import quiet_libraries, show_codes
from venclient.errors import ConfigError, VenError
from venclient.messages import with_code
from venclient.screen import say

app = typer.Typer(
    name="ven",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Turn a site's meters and flexible assets into an OpenADR 3 Virtual End Node.",
)
simulate = typer.Typer(no_args_is_help=True, help="Run a local VTN, and make sample meter data.")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"venclient {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(  # noqa: ARG001 - handled by its callback
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
    registry: str | None = typer.Option(
        None,
        "--registry",
        metavar="PATH|URL",
        help="The resource database of all commands that take --db: a file, or postgresql://USER@HOST/NAME.",
    ),
) -> None:
    """Turn a site's meters and flexible assets into an OpenADR 3 Virtual End Node."""
    if registry is not None:
        context.default_map = _registry_defaults(context.command, registry)


def _registry_defaults(command: Any, registry: str) -> dict[str, Any]:
    """Set the registry as the default of `--db` in a command, or in all commands of a group."""
    found = {param.name: registry for param in command.params if "--db" in param.opts}
    inner = {
        name: _registry_defaults(one, registry) for name, one in getattr(command, "commands", {}).items()
    }
    return found | inner


app.command("demo")(demo_commands.demo)
app.command("import")(importing_commands.import_files)
resources_commands.app.command("history")(history_commands.history)
resources_commands.app.command("set")(set_commands.set_fields)
app.add_typer(resources_commands.app, name="resources")
app.add_typer(connections_commands.app, name="connections")
app.add_typer(templates_commands.app, name="templates")
app.command("read")(read_commands.read)
app.add_typer(readings_commands.app, name="readings")
app.add_typer(events_commands.app, name="events")
app.add_typer(reports_commands.app, name="reports")
app.command("run")(service_commands.run)
app.command("status")(service_commands.status)
app.command("reload")(service_commands.reload)
app.command("doctor")(doctor_commands.doctor)
app.add_typer(vtn_commands.app, name="vtn")
app.add_typer(service_commands.config_app, name="config")
app.add_typer(db_commands.app, name="db")
simulate.add_typer(simulate_vtn_commands.app, name="vtn")
simulate.command("meterdata")(meterdata_commands.meterdata)
app.add_typer(simulate, name="simulate")


def main() -> None:
    """Run `ven`; an error is printed in one line with its code, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Æ gets an escape, not a traceback
            stream.reconfigure(errors="backslashreplace")
    show_codes()
    quiet_libraries()
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            say(with_code(problem), err=True)
        sys.exit(2)
    except VenError as error:
        say(str(error), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
