"""The way to the terminal: every line that a command prints is made printable here, and bounded.

Names, payloads and texts of registries, VTNs, brokers and devices may hold escapes that a terminal obeys,
line ends that forge a line, and invisible changes of direction. `tools/foreign_lint.py` finds commands that
print past this module.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from venclient.messages.printable import json_escaped, printable

if TYPE_CHECKING:
    from rich.text import Text

#: Characters of one line: lists of our own names may be long, a line of many megabytes is foreign text.
LONGEST_LINE = 100_000


def say(*lines: str, err: bool = False) -> None:
    """Print lines; line ends within one of them are shown as escapes."""
    for line in lines:
        print(printable(line, LONGEST_LINE), file=sys.stderr if err else sys.stdout, flush=True)


def say_json(document: str | bytes) -> None:
    """Print a JSON document; characters that a terminal obeys become escapes of JSON and mean the same."""
    print(json_escaped(document if isinstance(document, str) else document.decode()), flush=True)


def write_out(text: str) -> None:
    """Write a file's content to stdout as it is, such as CSV whose cells are safe already."""
    sys.stdout.write(text)


def cell(text: str, style: str = "") -> Text:
    """Return a cell or line for rich: printable, and never read as markup."""
    from rich.text import Text

    return Text(printable(text), style)
