"""Log lines with the codes of their messages, for `ven` and the scripts: the library sets up no logging."""

from __future__ import annotations

import logging
from typing import Any

from venclient.messages import Text, in_full
from venclient.messages.printable import printable

#: Characters of one line.
LONGEST_LINE = 100_000
#: From which level on libraries may log: our own messages have what matters of requests and connections.
LIBRARIES = {
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
    "paho": logging.WARNING,
    "alembic": logging.WARNING,
    "pymodbus": logging.CRITICAL,  # dumps its last frames when a client disconnects
}


class CodedFormatter(logging.Formatter):
    """Formats log lines; a warning or error of the catalogue ends with its hint and code."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name of logging)
        """Return the line of `record`, with hint and code of its message or of its last argument."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        for text in (record.msg, *arguments[-1:]):
            if isinstance(text, Text):
                record.message += in_full(text).removeprefix(str(text))
                break
        record.message = printable(record.message, LONGEST_LINE)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (the name of logging)
        """Return a traceback, each line behind a bar: none of them can pass for a line of the log."""
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"| {printable(line, LONGEST_LINE)}" for line in lines)


def show_codes() -> None:
    """Print the codes of warnings where a program sets up no logging."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(CodedFormatter("%(message)s"))


def quiet_libraries() -> None:
    """Keep the logs of libraries about single requests, frames and connections off terminal and log."""
    for name, level in LIBRARIES.items():
        logging.getLogger(name).setLevel(level)
