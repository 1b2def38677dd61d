"""The file of the outbox as commits: what is written together, and from which thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from venclient.errors import StoreError
from venclient.messages import reporting as rep
from venclient.sqlite_file import open_sqlite


class StateFile:
    """An SQLite file that any thread may write, one at a time. Every method may raise StoreError.

    Each change is on the card when its method returns, or when the outermost `change` ends.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self._lock = threading.RLock()
        self.db = open_sqlite(path)

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        with self._lock:
            self.db.close()

    def apply(self, changes: Iterable[Callable[[], None]]) -> None:
        """Make changes in one commit, all or none."""
        with self.change():
            for change in changes:
                change()

    def begin(self) -> None:
        """Begin a commit that `commit` or `roll_back` ends; between them only this thread may write."""
        with self.reading():
            self.db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End what `begin` began; what fails is rolled back."""
        with self._lock:
            try:
                with self.reading():
                    self.db.execute("COMMIT")
            except StoreError:
                self.roll_back()
                raise

    def roll_back(self) -> None:
        """Undo everything since `begin`."""
        with self.reading():
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    @contextmanager
    def change(self) -> Iterator[None]:
        """Make one commit of all changes inside; nested ones are part of the outermost."""
        with self.reading(), self.db:
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep other threads out, and raise errors of SQLite as StoreError."""
        try:
            with self._lock:
                yield
        except apsw.Error as error:
            raise StoreError(rep.STATE_UNUSABLE(problem=str(error)), subject=self.path) from error
