"""`ven doctor`: check settings, clock, disk, VTN and devices."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli.service import DEFAULT_CONFIG, ConfigOption, JsonOption
from venclient.messages import diagnostics as doc
from venclient.screen import cell, say, say_json

if TYPE_CHECKING:
    from venclient.checkup import Finding

#: More healthy devices than this are summed up in one line.
DEVICES_SHOWN = 30
_STYLE = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    vtn: Annotated[
        str | None,
        typer.Option("--vtn", help="Only this further VTN: NAME of [vtns.NAME].", show_default=False),
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds that one check may take.", min=0.5, max=120)
    ] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Check settings, clock, disk, VTN and devices.

    Prints one line for each check, and what to do next. Changes nothing, here or at the VTN, and does not
    disturb devices that a running gateway reads. Exit status 1 when a check failed.
    """
    import asyncio

    from venclient.checkup import summed
    from venclient.doctor import DEVICES_WITHIN_S, examine

    with quiet("venclient", "pymodbus", "paho", "asyncio"):
        found = asyncio.run(
            examine(
                config,
                vtn=vtn,
                within_s=timeout_s,
                devices_within_s=max(DEVICES_WITHIN_S, timeout_s + 5),
            )
        )
    found = _with_whole_commands(found, config)
    failed = sum(one.state == "fail" for one in found)
    if as_json:
        import msgspec

        checks = msgspec.to_builtins(found)
        say_json(json.dumps({"ok": not failed, "checks": checks}, ensure_ascii=False, indent=2))
    else:
        others = [one for one in found if not one.check.startswith("device")]
        devices = [one for one in found if one.check.startswith("device")]
        _show([*others, *summed(devices, DEVICES_SHOWN)])
        warned = sum(one.state == "warn" for one in found)
        say(doc.SUMMARY(checks=len(found), failed=failed, warned=warned))
    if failed:
        raise typer.Exit(1)


def _with_whole_commands(found: list[Finding], config: Path) -> list[Finding]:
    """Return findings whose commands name the settings and the registry that were looked at."""
    from msgspec.structs import replace

    from venclient.cli.hints import completed
    from venclient.errors import ConfigError
    from venclient.registry.opening import is_url, shown
    from venclient.settings import load_settings

    options = {"--config": str(config)}
    try:
        place = load_settings(config).place("registry.database")
        options["--db"] = shown(place) if is_url(place) else os.path.relpath(place)
    except ConfigError:
        pass  # the findings say so
    return [
        replace(one, what=completed(one.what, options), advice=completed(one.advice, options))
        for one in found
    ]


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Silence loggers while the block runs: what they would log is printed by the command."""
    import logging

    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _show(found: list[Finding]) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    for one in found:
        line = cell(f"{one.state:<5}", _STYLE[one.state])
        line += cell(f"{f'{one.vtn} ' if one.vtn else ''}{one.check}: ", "bold")
        line += cell(one.what, "default")
        if one.code and one.state != "ok":
            line += cell(f" [{one.code}]", "dim")
        console.print(line)
        if one.advice:
            console.print(cell(f"      {one.advice}", "default"))
