"""The rows that an import refused, in a file: where each stood, why it was refused, and what it said."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from venclient import spreadsheet
from venclient.errors import ConfigError
from venclient.messages import importing as imp
from venclient.messages import with_code
from venclient.registry.csv_sites import Rejected

HEADER = ("file", "line", "column", "reason", "original")
SUFFIX = ".rejects.csv"


def beside(path: Path) -> Path:
    """Return where the rejects of a file go by default: `sites.csv.rejects.csv` beside it."""
    return Path(f"{path}{SUFFIX}")  # "." has no name to add to


class RejectsFile:
    """A CSV file that is made when the first row is refused; one that an earlier import left is replaced.

    `made` reports whether it exists. Only its owner can read it, as rows may hold passwords.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made = False
        self._stream: IO[str] | None = None
        self._writer: Any = None

    def add(self, file: str, row: Rejected) -> None:
        """Write one row; ConfigError when the file cannot be written."""
        try:
            if self._stream is None:
                self._stream = _open_private(self.path)
                self._writer = csv.writer(self._stream)
                self._writer.writerow(HEADER)
                self.made = True
            text = row.text.rstrip("\r\n").encode("utf-8", "backslashreplace").decode()
            cells = spreadsheet.row((file, row.line, row.column, with_code(row.reason)))
            self._writer.writerow((*cells, spreadsheet.guarded(text)))
        except OSError as error:
            raise ConfigError(
                imp.REJECTS_NOT_WRITTEN(problem=error.strerror or error), subject=str(self.path)
            ) from error

    def close(self, *, keep_older: bool = False) -> None:
        """Close the file; if nothing was rejected this time, remove an older rejects file.

        `keep_older` keeps it, as after an import that could not read its file.
        """
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        elif not keep_older and self.path.name.endswith(SUFFIX) and _is_ours(self.path):
            with suppress(OSError):  # beside a list on a read-only medium it stays
                self.path.unlink()


def _open_private(path: Path) -> IO[str]:
    return os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
    )


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.readline().strip() == ",".join(HEADER)
    except OSError:
        return False
