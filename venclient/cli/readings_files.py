"""Files that `ven readings export` writes: CSV, and Parquet where pyarrow is installed.

A file gets its name when it is complete.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any

from venclient import spreadsheet
from venclient.errors import ConfigError
from venclient.installation import install_hint
from venclient.messages import cli_meters as clm
from venclient.messages import cli_reports as clp

Row = Sequence[Any]

ROWS_AT_ONCE = 50_000
#: Kinds of columns as Parquet has them, by the name of the column; others are numbers.
_WORDS = ("resource_id", "quantity", "quality")


def write_csv(file: IO[str], columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write rows as CSV with a head, times as ISO 8601 in UTC and return how many."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    time_at = columns.index("time")
    count = 0
    for row in rows:
        cells = list(row)
        cells[time_at] = row[time_at].isoformat(timespec="milliseconds").replace("+00:00", "Z")
        writer.writerow(spreadsheet.row(cells))
        count += 1
    return count


def write_file(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Write a CSV file, or a Parquet file when the name ends in .parquet, and return the number of rows.

    ConfigError when the file cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        if path.suffix.lower() == ".parquet":
            count = _write_parquet(unfinished, columns, rows)
        else:
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                count = write_csv(file, columns, rows)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(clp.CANNOT_WRITE(problem=error.strerror or error), subject=str(path)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return count


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(clm.NO_PYARROW(command=install_hint("parquet")), subject="--output") from None
    kinds = {
        "time": arrow.timestamp("ms", tz="UTC"),
        "readings": arrow.int64(),
        **dict.fromkeys(_WORDS, arrow.dictionary(arrow.int32(), arrow.string())),
    }
    schema = arrow.schema([(name, kinds.get(name, arrow.float64())) for name in columns])
    count = 0
    with parquet.ParquetWriter(str(path), schema) as writer:
        for some in _batches(rows):
            by_column = zip(*some, strict=True)
            arrays = [
                arrow.array(list(values), type=field.type)
                for field, values in zip(schema, by_column, strict=True)
            ]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))
            count += len(some)
    return count


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while some := list(islice(source, ROWS_AT_ONCE)):
        yield some
