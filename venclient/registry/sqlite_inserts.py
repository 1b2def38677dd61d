"""Many rows into a SQLite table: some dozens by each statement, which is faster than one by one.

Each INSERT reads and writes the table's counter of ids and prepares to be undone, however many rows it has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from venclient.registry.link import RowRefused

#: Rows of one statement; with more of them it is not faster, and a short list is left to single rows sooner.
ROWS_AT_ONCE = 50
_LITERALS = {None: "NULL", True: "1", False: "0"}


def insert_columns(driver: sqlite3.Connection, sql: str, columns: Sequence[Sequence[Any]]) -> None:
    """Run `sql`, an INSERT of one row of placeholders, for each row of `columns`, in their order.

    For use inside a transaction. RowRefused says which row breaks a rule; those before it are stored.
    """
    count = len(columns[0]) if columns else 0
    if count < ROWS_AT_ONCE:
        _one_by_one(driver, sql, list(zip(*columns, strict=True)), 0)
        return
    sql, kept = _without_constants(sql, columns)
    head, values, row = sql.rpartition(" VALUES ")
    many = f"{head}{values}{', '.join([row] * ROWS_AT_ONCE)}"
    rows: Iterator[tuple[Any, ...]] = zip(*kept, strict=True)
    for begin in range(0, count, ROWS_AT_ONCE):
        part = list(islice(rows, ROWS_AT_ONCE))
        if len(part) < ROWS_AT_ONCE:
            _one_by_one(driver, sql, part, begin)
            return
        try:
            driver.execute(many, list(chain.from_iterable(part)))
        except sqlite3.IntegrityError:  # which undid the whole statement: which row it was shows only now
            _one_by_one(driver, sql, part, begin)


def _one_by_one(driver: sqlite3.Connection, sql: str, rows: Sequence[Sequence[Any]], begin: int) -> None:
    remaining = iter(rows)
    try:
        driver.executemany(sql, remaining)
    except sqlite3.IntegrityError as error:
        # They go in one after the other: the last one that was drawn is the one that failed.
        at = begin + len(rows) - len(list(remaining)) - 1
        taken = error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE
        raise RowRefused(str(error), at=at, taken=taken) from error


def _without_constants(sql: str, columns: Sequence[Sequence[Any]]) -> tuple[str, list[Sequence[Any]]]:
    """Return an insert and its columns without those that are null, or the same truth, in all rows.

    The driver takes longer to bind one of these than a text, and a site list has many.
    """
    head, *rest = sql.split("?")
    kept: list[Sequence[Any]] = []
    for column, tail in zip(columns, rest, strict=True):
        first = column[0]
        if (first is None or first is True or first is False) and column.count(first) == len(column):
            head += _LITERALS[first] + tail
        else:
            head += "?" + tail
            kept.append(column)
    return (head, kept) if kept else (sql, list(columns))
