"""Reads SQLite files where nothing can be written: a medium that went read-only, a folder of another user.

SQLite needs files beside the database (`-shm`) to read one in WAL mode, and cannot create them there. Then
the file is read as it is (`immutable`); rows still in its `-wal` come from a temporary copy of both, if that
fits.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import closing, suppress
from errno import EACCES, EPERM, EROFS
from pathlib import Path

from venclient.messages import Text
from venclient.messages import registry_files as dbf

_log = logging.getLogger(__name__)

#: What the operating system reports where nothing can be written.
REFUSALS = frozenset({EROFS, EACCES, EPERM})
#: Files in which SQLite keeps transactions that are not in the database file yet, or not all of them.
_PENDING = ("-wal", "-journal")
#: Where a temporary copy goes when the usual folders are on the same read-only card; twice the room is left.
_IN_MEMORY = ("/dev/shm", f"/run/user/{os.getuid()}")  # noqa: S108 - mkdtemp makes a private folder in it
#: Space that must stay free in the temporary folder.
_MARGIN = 1_000_000

_lock = threading.Lock()
_reported: set[str] = set()


class Readable:
    """A file that can only be read: the URI to open, and what is to be known about it.

    `close()` removes the temporary copy, if there is one.
    """

    def __init__(self, path: Path, uri: str, note: Text, folder: Path | None = None) -> None:
        self.path = path
        self.uri = uri
        self.note = note
        self._remove = weakref.finalize(self, _nothing) if folder is None else _removal(self, folder)

    def close(self) -> None:
        """Remove the temporary copy; safe to call twice."""
        self._remove()

    def report(self) -> None:
        """Log that the file is read-only, once for each file and program."""
        with _lock:
            if str(self.note) in _reported:
                return
            _reported.add(str(self.note))
        _log.warning(self.note)


def is_read_only(path: Path) -> bool:
    """Return True when the file at `path` exists and cannot be written where it is."""
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return error.errno in REFUSALS and path.is_file() and os.access(path, os.R_OK)
    if os.access(path.absolute().parent, os.W_OK):
        return False
    # SQLite writes files beside it: with those of another program it can do without creating any.
    return not all(os.access(f"{path}{ending}", os.W_OK) for ending in ("-wal", "-shm"))


def refusal_of(error: BaseException | None) -> str | None:
    """Return why the system lets nothing be written, None for an error of another kind."""
    if isinstance(error, OSError) and error.errno in REFUSALS:
        return error.strerror or str(error)
    return None


def write_refusal(path: Path) -> str | None:
    """Return why the file at `path` cannot be written, or created; None when it can."""
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        if path.exists():
            os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return refusal_of(error)
    if os.access(folder, os.W_OK):
        return None
    return os.strerror(EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else EACCES)


def note_of(path: Path) -> Text | None:
    """Return what to report about a file that can only be read; None for one that can be written."""
    if not is_read_only(path):
        return None
    try:
        found = readable(path)
    except (OSError, sqlite3.Error):
        return dbf.READ_ONLY(path=path)
    found.close()
    return found.note


def readable(path: Path, *, prepare: Callable[[Path], object] | None = None) -> Readable:
    """Return how to read the file at `path`, which cannot be written.

    `prepare` changes a temporary copy before it is read, such as an upgrade of its schema. OSError or
    sqlite3.Error when the file cannot be read, or when the copy that `prepare` needs does not fit.
    """
    name = path.absolute().as_uri()
    if prepare is not None:
        return _copied(path, prepare)
    pending = _pending(path)
    if _opens(f"{name}?mode=ro"):
        return Readable(path, f"{name}?mode=ro", dbf.READ_ONLY(path=path))
    if pending:
        try:
            return _copied(path)
        except (OSError, sqlite3.Error) as error:
            _log.debug("%s: no temporary copy: %s", path, error)
            note = dbf.READ_ONLY_WITHOUT_LOG(path=path, bytes=pending, folder=_temporary())
            return Readable(path, f"{name}?immutable=1", note)
    return Readable(path, f"{name}?immutable=1", dbf.READ_ONLY(path=path))


def _opens(uri: str) -> bool:
    """Return False where SQLite cannot create, recover or roll back what it needs; raise what else fails."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as driver:
            driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        ):
            return False
        raise
    return True


def _pending(path: Path) -> int:
    """Return the bytes of transactions that wait beside the file."""
    beside = (Path(f"{path}{ending}") for ending in _PENDING)
    return sum(one.stat().st_size for one in beside if one.is_file())


def _copied(path: Path, prepare: Callable[[Path], object] | None = None) -> Readable:
    """Copy the file and what waits beside it to a temporary folder, and merge them there."""
    files = [Path(f"{path}{ending}") for ending in ("", *_PENDING)]
    files = [file for file in files if file.is_file()]
    needed = 2 * sum(file.stat().st_size for file in files) + _MARGIN  # merging may write as much again
    folder = temporary_folder(needed)
    try:
        copy = folder / path.name
        for file in files:
            shutil.copyfile(file, folder / file.name)
        with closing(sqlite3.connect(copy, isolation_level=None)) as driver:
            driver.execute("SELECT count(*) FROM sqlite_master").fetchone()  # recovers the log
            driver.execute("PRAGMA journal_mode = DELETE")
        note = dbf.READ_ONLY(path=path)
        if prepare is not None:
            prepare(copy)
            with closing(sqlite3.connect(copy, isolation_level=None)) as driver:
                driver.execute("PRAGMA journal_mode = DELETE")
            note = dbf.READ_ONLY_OLD(path=path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Readable(path, f"{copy.as_uri()}?immutable=1", note, folder)


def temporary_folder(needed: int) -> Path:
    """Return a new temporary folder with room for `needed` bytes; OSError when every place lacks it."""
    places: list[tuple[str, int]] = [(place, 2 * needed) for place in _IN_MEMORY]
    with suppress(OSError):
        places.insert(0, (tempfile.gettempdir(), needed))
    for place, free in places:
        with suppress(OSError):
            if shutil.disk_usage(place).free >= free:
                return Path(tempfile.mkdtemp(prefix="venclient-", dir=place))
    raise OSError(dbf.NO_ROOM(needed=needed))


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "none"


def _nothing() -> None:
    return None


def _removal(owner: object, folder: Path) -> weakref.finalize[..., object]:
    return weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
