"""Cells of one row of a table. Pure: no files."""

from __future__ import annotations

import csv

from venclient.messages import files as fil

#: The maximum length of a row.
MOST_LINE = 2**20


def split_cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one row; ValueError when its quotes do not match."""
    if len(line) > MOST_LINE:
        raise ValueError(fil.LINE_TOO_LONG(length=len(line), most=MOST_LINE))
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader(line.splitlines(keepends=True), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ValueError(fil.QUOTES(error=error)) from None
