"""A process that compresses a readings file in small steps, and goes on writing; made to be killed.

    python -m tests.readings.compactor FILE FIRST

prints "d" when a step is done and "c N" when late reading N is committed; ends when all is compressed.
"""

from __future__ import annotations

import itertools
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from venclient.model.reading import Reading
from venclient.readings.compaction import begin, carry_out, finish, plan
from venclient.readings.series import to_ms
from venclient.readings.tables import open_tables

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def late(number: int) -> Reading:
    """Return late reading N: a moment in what is being compressed."""
    return Reading("late", "power_kw", float(number), DAY + timedelta(seconds=10 * number + 3))


def compress(path: Path, first: int) -> None:
    """Do one pass after the other, a late reading in between each step."""
    tables = open_tables(path)
    limits = itertools.cycle([to_ms(DAY + timedelta(hours=12)), to_ms(DAY + timedelta(hours=12, minutes=1))])
    for number, before_ms in zip(itertools.count(first), limits, strict=False):
        while begin(tables, before_ms):
            planned = plan(tables, slice_rows=300)
            if planned is None:
                finish(tables)
            else:
                carry_out(tables, planned)
            print("d", flush=True)
        tables.write([late(number)], {}, now=DAY + timedelta(days=1))
        print(f"c {number}", flush=True)


if __name__ == "__main__":
    compress(Path(sys.argv[1]), int(sys.argv[2]))
