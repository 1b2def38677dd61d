"""`ven run`, `ven status` and `ven config`: the service, its status and its settings."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.coded_log import CodedFormatter
from venclient.errors import ConfigError
from venclient.messages import cli_service as cls
from venclient.messages import code_of, in_full, with_code
from venclient.messages import gateway as gwy
from venclient.screen import say, say_json, write_out

if TYPE_CHECKING:
    from venclient.settings import Settings

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The settings file.", envvar="VEN_CONFIG")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DEFAULT_CONFIG = Path("ven.toml")
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

config_app = typer.Typer(no_args_is_help=True, help="Look at the settings.")


def run(
    context: typer.Context,
    config: ConfigOption = DEFAULT_CONFIG,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
) -> None:
    """Run the gateway until it is stopped (Ctrl-C, SIGTERM)."""
    import asyncio
    import signal

    from venclient.clock import SystemClock
    from venclient.gateway import Gateway
    from venclient.registry_wait import look_at_registry, when_reachable
    from venclient.settings import load_settings

    # `ven --registry` goes before the file's; a path in it starts, as any typed one, at the current folder.
    registry = context.find_root().params.get("registry")
    if registry is not None and "://" not in registry:
        registry = str(Path(registry).absolute())
    flags = {"log.level": log_level, "registry.database": registry}
    settings = load_settings(config, flags=flags)
    handler = logging.StreamHandler()
    handler.setFormatter(CodedFormatter(LOG_FORMAT))
    logging.basicConfig(level=settings["log.level"].upper(), handlers=[handler])

    async def run_gateway() -> None:
        gateway = await when_reachable(
            lambda: look_at_registry(settings),
            lambda: Gateway(settings, reread=lambda: load_settings(config, flags=flags)),
            SystemClock(),
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.reload_soon)
        await gateway.run()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        # Nothing to read again until the gateway is built; the default would end the program.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        work = asyncio.create_task(run_gateway(), name="gateway")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            logging.getLogger("venclient.gateway").info(gwy.STOPPED())

    asyncio.run(serve())


def reload(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Have the running gateway read its settings again.

    It reads the registry again, too, and names changed settings that need a restart. Exit status 1 when
    the settings cannot be used, 3 when no gateway runs.
    """
    from venclient.settings import load_settings
    from venclient.status import RELOAD, RELOADED_WITHIN_S, ask

    try:
        settings = load_settings(config)
    except ConfigError as error:
        problems = [*error.problems, cls.NOT_REREAD(config=config)]
        if as_json:
            say_json(json.dumps({"problem": "; ".join(map(with_code, problems))}, indent=2))
        else:
            say(*map(with_code, problems[:-1]), in_full(problems[-1]), err=True)
        raise typer.Exit(1) from None
    answer = ask(settings.path("status.socket"), RELOAD, within_s=RELOADED_WITHIN_S)
    if answer is None:
        say_json(json.dumps({"running": False}) if as_json else with_code(cls.NOT_RUNNING(config=config)))
        raise typer.Exit(3)
    if as_json:
        say_json(json.dumps({"running": True, **answer}, indent=2))
    elif problem := answer.get("problem"):
        say(problem, err=True)
    else:
        applied, restart = answer.get("applied"), answer.get("restart")
        say(cls.APPLIED(keys=applied) if applied else cls.NOTHING_APPLIED())
        if restart:
            say(with_code(gwy.NEEDS_RESTART(keys=restart)))
    if answer.get("problem"):
        raise typer.Exit(1)


def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Say what the running gateway is doing.

    Exit status 3 when none runs.
    """
    from venclient.registered import stored_version
    from venclient.settings import load_settings
    from venclient.status import ask

    settings = load_settings(config)
    snapshot = ask(settings.path("status.socket"))
    if snapshot is None:
        if as_json:
            say_json(json.dumps({"running": False}))
        else:
            say(with_code(cls.NOT_RUNNING(config=config)))
        raise typer.Exit(3)
    if (stored := stored_version(settings)) is not None:
        snapshot.setdefault("registry", {})["stored"] = stored
    if as_json:
        say_json(json.dumps({"running": True, **snapshot}, indent=2))
        return
    from rich.console import Console

    from venclient.view import status_view

    Console().print(status_view(snapshot))


@config_app.command("show")
def config_show(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show every setting with its value and where it came from; secrets stay references."""
    from venclient.settings import OF_VTN, SETTINGS, load_settings

    try:
        settings = load_settings(config)
    except ConfigError as error:
        if config.exists() or config != DEFAULT_CONFIG:
            raise
        settings = _from_environment(error)
    rows: list[dict[str, Any]] = [
        {"key": s.key, "value": settings[s.key], "origin": settings.origin[s.key], "help": s.help}
        for s in SETTINGS
    ]
    names = {stands_for: key for key, stands_for in OF_VTN.items()}
    for name, own in settings.others.items():
        rows += [
            {
                "key": f"vtns.{name}.{names.get(s.key) or s.key.removeprefix('vtn.')}",
                "value": own[s.key],
                "origin": own.origin[s.key],
                "help": s.help,
            }
            for s in SETTINGS
            if s.key.startswith("vtn.") or s.key in names
        ]
    if as_json:
        say_json(json.dumps(rows, indent=2))
        return
    width = max(len(row["key"]) for row in rows)
    for row in rows:
        say(f"{row['key']:<{width}}  {_value_text(row['value']):<28}  ({row['origin']})")


def _from_environment(no_file: ConfigError) -> Settings:
    """Return the settings of variables; ConfigError that the file is missing when they do not suffice."""
    from venclient.messages import settings as cfg
    from venclient.settings import load_settings

    try:
        return load_settings()
    except ConfigError as error:
        mistakes = [one for one in error.problems if code_of(one) != cfg.MISSING.code]
        raise ConfigError(no_file.what, problems=(*no_file.problems, *mistakes)) from None


@config_app.command("template")
def config_template() -> None:
    """Print sample settings to edit: ven config template > ven.toml."""
    from venclient.shipped import SETTINGS, shipped

    write_out(shipped(SETTINGS).read_text(encoding="utf-8"))


def _value_text(value: Any) -> str:
    """Return a value as ven.toml has it; "not set" for None."""
    if value is None:
        return "not set"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
