"""Moves what was committed from SQLite's log into the file, while no other connection can write.

SQLite before 3.51.3 can lose pages when one connection checkpoints while another restarts the log. Restarting
it takes the write lock, so a checkpoint that runs while we hold that lock cannot meet it:

    guard    BEGIN IMMEDIATE ----------------------------- ROLLBACK
    worker                    wal_checkpoint(PASSIVE)
    others   (write: wait)                                 (write)

Connections of the registry therefore never checkpoint by themselves; each writer comes here when it is done.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from contextlib import suppress
from pathlib import Path

#: How long another writer is waited for. One that takes longer comes here itself when it is done.
_PATIENCE_S = 0.5


class Checkpoints:
    """The checkpoints of one file, for all threads of this process; `run()` after each transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._pair: list[sqlite3.Connection] = []
        self._closed = False
        self._finalizer = weakref.finalize(self, _close, self._pair)

    def run(self) -> bool:
        """Bring the file up to date; False when a long writer or reader keeps some of it in the log.

        What was committed is safe either way, so nothing that goes wrong here is an error.
        """
        with self._lock:
            if self._closed:
                return False
            try:
                return self._run()
            except sqlite3.Error:
                return False

    def close(self) -> None:
        """Close the two connections; safe to call twice."""
        with self._lock:
            self._closed = True
            self._finalizer()

    def _run(self) -> bool:
        while len(self._pair) < 2:
            self._pair.append(_open(self._path))
        guard, worker = self._pair
        guard.execute("BEGIN IMMEDIATE")
        try:
            busy, in_log, moved = worker.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return not busy and in_log == moved
        finally:
            guard.execute("ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # a file that was moved away meanwhile is not created again
        uri=True,
        timeout=_PATIENCE_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=4,
    )
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def _close(pair: list[sqlite3.Connection]) -> None:
    for connection in pair:
        with suppress(sqlite3.Error):
            connection.close()
    pair.clear()
