"""Opens the SQLite files that the service writes while it runs (readings, outbox), the same way each time."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from venclient.errors import StoreError

BUSY_TIMEOUT_MS = 5_000


def open_sqlite(path: Path | str, *, read_only: bool = False) -> apsw.Connection:
    """Give a connection to `path`, created with mode 0600 and its folder when missing.

    The file is in WAL mode (readers never wait for the writer) with synchronous=FULL: what we
    acknowledge to a broker or count as sent must survive a power cut. StoreError says why not.
    """
    path = Path(path)
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(str(path), flags=flags)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
    except (OSError, apsw.Error) as error:
        raise StoreError(
            f"cannot open the file ({error})",
            subject=str(path),
            hint="check that the folder exists and is writable, and that the file is a venclient database",
        ) from error
    return connection
