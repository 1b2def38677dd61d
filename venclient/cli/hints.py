"""Commands in hints, completed with the options that they need."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

_QUOTED = re.compile(r"`(ven [^`]*)`")


def completed(text: str, options: Mapping[str, str]) -> str:
    """Return a text whose `ven ...` commands have those of `options` that they take and do not name.

    `options` has values by option, such as {"--db": "site.db"}. A value that is the command's default is
    left out.
    """
    return _QUOTED.sub(lambda found: f"`{_whole(found[1], options)}`", text)


def _whole(line: str, options: Mapping[str, str]) -> str:
    command = _command(line.split()[1:])
    for param in getattr(command, "params", ()):
        for option in param.opts:
            value = options.get(option)
            if value is not None and option not in line.split() and value != str(param.default):
                line += f" {option} {shlex.quote(value)}"
    return line


def _command(words: list[str]) -> Any:
    """Return the command that words name; the program itself where they name none."""
    import typer.main

    from venclient.cli import app

    command: Any = typer.main.get_command(app)
    for word in words:
        inner = getattr(command, "commands", {}).get(word)
        if inner is None:
            break
        command = inner
    return command
