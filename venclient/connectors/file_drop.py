"""A drop folder: each file that is put there is read once, whole, and moved to done/ or failed/.

    incoming/2026-06-01.csv  -> done/2026-06-01.csv
    incoming/notes.csv       -> failed/notes.csv  and  failed/notes.csv.reason.txt

How far each file was read is stored with its readings, and a file moves only after that commit: a kill at any
moment makes neither a gap nor a second reading. Several resources may read one folder (an export of many
meters); a file moves when all whose pattern fits have read it.
"""

from __future__ import annotations

import asyncio
import errno
import fnmatch
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from venclient.connectors.base import Batch, Site
from venclient.connectors.file_access import Access, access_of
from venclient.connectors.file_content import Content, Found
from venclient.connectors.file_options import FileOptions
from venclient.connectors.file_tail import Mark, all_lines, is_read, piece_of
from venclient.connectors.file_workers import WORKERS
from venclient.connectors.options import subject_of
from venclient.errors import ConnectFailed
from venclient.messages import files as fil
from venclient.messages import text_of, with_code
from venclient.messages.printable import foreign
from venclient.model.reading import Reject
from venclient.model.resource import Resource

TIMEOUT_S = 60.0
ANSWER_WITHIN_S = 55.0
#: How long a reader that is closed waits for files that are being moved.
CLOSE_WITHIN_S = 5.0
#: A file counts as finished when it did not change between two looks, or for so long.
SETTLED_S = 5.0
#: So many reasons of a file are kept for its reason.txt; the rest is counted.
MOST_REASONS = 20
#: So many links are reported for one folder.
MOST_LINKS = 100
DONE, FAILED, REASON = "done", "failed", ".reason.txt"
#: Names under which other programs write what is not finished.
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp", "~", REASON)
_MAGIC = frozenset("*?[")
_DROPPED = Access(dropped=True)


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far one file was read, what it gave, and whether that was all."""

    mark: Mark
    readings: int = 0
    rejects: int = 0
    reasons: tuple[str, ...] = ()
    done: bool = False
    hopeless: bool = False


class _Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a folder between two runs: the progress of the files that were not moved yet."""

    form: str
    files: dict[str, Progress] = {}


class DropFolder:
    """One folder, shared by all who read it; moves a file when each of them is through with it.

    Files are moved in threads, one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._patterns: dict[str, str] = {}
        self._verdicts: dict[str, dict[str, Progress]] = {}
        self._names: dict[str, str] = {}

    def join(self, reader: str, name: str, pattern: str) -> None:
        """Add a reader of the files whose names fit `pattern`; `name` is for people."""
        self._patterns[reader] = pattern
        self._names[reader] = name

    def leave(self, reader: str) -> None:
        """Remove a reader; what waits for it waits for its return."""
        self._names.pop(reader, None)

    def finish(self, reader: str, name: str, progress: Progress) -> bool:
        """Note that a reader is through with a file; True when it was moved, OSError when it cannot be."""
        path = self.folder / name
        with self._lock:
            verdicts = self._verdicts.setdefault(name, {})
            verdicts[reader] = progress
            # What was written to it, or put in its place, meanwhile is still to be read.
            for one in [one for one, verdict in verdicts.items() if not is_through(path, verdict)]:
                del verdicts[one]
            missing = [one for one, pattern in list(self._patterns.items()) if fnmatch.fnmatch(name, pattern)]
            if any(one not in verdicts for one in missing):
                return False
            self._move(name, verdicts)
            del self._verdicts[name]
            return True

    def is_gone(self, name: str) -> bool:
        """Tell whether a file is no longer there; what was said of it is forgotten then."""
        with self._lock:
            if os.path.lexists(self.folder / name):
                return False
            self._verdicts.pop(name, None)
            return True

    def _move(self, name: str, verdicts: dict[str, Progress]) -> None:
        """Move a file, with what is wrong in it beside; no link on the way is followed."""
        good = any(progress.readings for progress in verdicts.values())
        with _opened(self.folder) as source, _opened(DONE if good else FAILED, within=source) as target:
            free = path = Path(name)
            number = 1
            while _is_taken(free.name, target):
                number += 1
                free = path.with_name(f"{path.stem}.{number}{path.suffix}")
            report = "".join(
                self._told(self._names.get(reader, reader), progress) for reader, progress in verdicts.items()
            )
            if not good or any(progress.rejects for progress in verdicts.values()):
                _write(f"{free.name}{REASON}", report, target)
            os.rename(name, free.name, src_dir_fd=source, dst_dir_fd=target)

    @staticmethod
    def _told(name: str, progress: Progress) -> str:
        readings, rejects = progress.readings, progress.rejects
        first: str = fil.RESULT_NONE(name=name)
        if readings or rejects:
            first = fil.RESULT(name=name, readings=readings, rejects=rejects)
        more = rejects - len(progress.reasons)
        lines = [first, *progress.reasons, *([fil.RESULT_MORE(count=more)] if more > 0 else [])]
        return "\n".join(lines) + "\n"

    async def close(self) -> None:
        """Do nothing: files are open only while they are read."""


@contextmanager
def _opened(folder: Path | str, *, within: int | None = None) -> Iterator[int]:
    """Open a folder; `within` another one it is made where it is missing, and may not be a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if within is not None:
        with suppress(FileExistsError):
            os.mkdir(folder, dir_fd=within)
        flags |= os.O_NOFOLLOW
    try:
        descriptor = os.open(folder, flags, dir_fd=within)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise OSError(fil.NO_FOLDER(name=foreign(str(folder)))) from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_taken(name: str, folder: int) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _write(name: str, text: str, folder: int) -> None:
    """Write a new file that only we may read, in place of one that is left from a move that was cut short."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "w", encoding="utf-8") as file:
        file.write(text)


def is_through(path: Path, progress: Progress) -> bool:
    """Tell whether a file is still the one that was read to its end."""
    with suppress(OSError):
        if progress.hopeless:
            return not progress.mark.inode or path.lstat().st_ino == progress.mark.inode
        return progress.done and is_read(path, progress.mark, _DROPPED)
    return False


class DropReader:
    """Reads the files of a folder, by name, each to its end; looks for new ones every `interval_s`."""

    def __init__(self, resource: Resource, options: FileOptions, site: Site) -> None:
        self.interval_s: float | None = options.interval_s
        self.timeout_s = TIMEOUT_S
        self._id = resource.resourceID
        self._subject = subject_of(resource)
        self._clock = site.clock
        self._once = site.one_shot
        self._content = Content(resource, options, quotes=site.one_shot, thinned=site.thinned)
        self._place, self._pattern = _place_and_pattern(site.folder, resource.connection.file or "")
        self._key = f"drop {self._id} {resource.connection.file}"
        self._bookmark = site.bookmark
        self._access = access_of(site, self._key, dropped=True)
        #: Links that were reported.
        self._links: set[str] = set()
        #: What the next read has to report.
        self._unsaid: list[Reject] = []
        self._leases = site.leases
        self._lease = f"drop folder {self._place}"
        self._folder: DropFolder = site.leases.acquire(
            self._lease,
            holder=self._id,
            settings=str(self._place),
            make=lambda: DropFolder(self._place),
            close=DropFolder.close,
        )
        self._folder.join(self._id, resource.resourceName, self._pattern)
        self._open = True
        self._files: dict[str, Progress] | None = None
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._stuck: set[str] = set()
        #: Files whose last readings wait for their commit.
        self._unstored: set[str] = set()
        #: Moves that are under way.
        self._moves: set[asyncio.Task[None]] = set()

    async def read(self) -> Batch:
        """Return the next rows of the next file, none when no file is finished.

        ConnectFailed when the folder cannot be read.
        """
        if self._files is None:
            self._files = self._remembered()
        try:
            await self._settle(tuple(self._files))
            work = partial(self._next, dict(self._files))
            found, name, progress, more = await WORKERS.run(self._place, work, within_s=ANSWER_WITHIN_S)
        except ConnectFailed as error:
            raise ConnectFailed(error.what, subject=self._subject, hint=error.hint) from None
        rejects, self._unsaid = self._unsaid, []
        if name is None or progress is None:
            return Batch(rejects=(*rejects, *found.rejects), replayable=True)
        self._files[name] = progress
        if progress.done:
            self._unstored.add(name)
        ledger = _Ledger(form=self._content.form, files=self._files)
        return Batch(
            found.readings,
            [*rejects, *found.rejects],
            bookmarks={self._key: msgspec.json.encode(ledger).decode()},
            acknowledge=_Moving(self, name) if progress.done else _nothing,
            replayable=True,
            more=more or not progress.done,
        )

    async def close(self) -> None:
        """Let go of the folder; a file that was not read to its end is gone on with at the next start."""
        if self._open:
            self._open = False
            if self._moves:
                _, late = await asyncio.wait(self._moves, timeout=CLOSE_WITHIN_S)
                for move in late:
                    move.cancel()
            self._folder.leave(self._id)
            await self._leases.release(self._lease, holder=self._id)

    def committed(self, name: str) -> None:
        """Move a file whose readings are stored, as soon as no other reader needs it; returns at once."""
        self._unstored.discard(name)
        move = asyncio.get_running_loop().create_task(self._move(name), name=f"move {self._place}")
        self._moves.add(move)
        move.add_done_callback(self._moves.discard)

    async def _move(self, name: str) -> None:
        with suppress(ConnectFailed):  # the next look reports it
            await self._settle((name,))

    async def _settle(self, names: tuple[str, ...]) -> None:
        """Move the files that were read to their end and are still there; note which cannot be moved."""
        files = self._files or {}
        through = {name: files[name] for name in names if name in files and name not in self._unstored}
        through = {name: progress for name, progress in through.items() if progress.done}
        if self._once or not through:
            return
        work = partial(self._moved, through)
        for name, error in (await WORKERS.run(self._place, work, within_s=ANSWER_WITHIN_S)).items():
            if error is None:
                self._stuck.discard(name)
                if files.get(name) is through[name]:
                    del files[name]
            elif name not in self._stuck:
                self._stuck.add(name)
                reason = fil.CANNOT_MOVE(error=error.strerror or error, folder=self._place)
                self._unsaid.append(Reject(foreign(name), reason))

    def _remembered(self) -> dict[str, Progress]:
        bookmark = None if self._once else self._bookmark(self._key)
        try:
            ledger = msgspec.json.decode(bookmark or "", type=_Ledger)
        except msgspec.DecodeError:
            return {}
        return ledger.files if ledger.form == self._content.form else {}

    # In a thread

    def _moved(self, files: Mapping[str, Progress]) -> dict[str, OSError | None]:
        """Move files; return those that are gone from the folder, and the error of those that must stay."""
        found: dict[str, OSError | None] = {}
        for name, progress in files.items():
            try:
                if self._folder.is_gone(name) or self._folder.finish(self._id, name, progress):
                    found[name] = None
            except OSError as error:
                found[name] = error
        return found

    def _next(self, files: dict[str, Progress]) -> tuple[Found, str | None, Progress | None, bool]:
        found = Found()
        try:
            self._access.check_folder(self._place)
            names = sorted(self._finished(files, found))
        except OSError as error:
            raise ConnectFailed(
                fil.FOLDER(folder=self._place, error=error.strerror or error), subject=self._subject
            ) from error
        # One that was begun comes first: its rows are in order only among themselves.
        names.sort(key=lambda name: name not in files)
        for place, name in enumerate(names):
            progress = self._read_on(name, files.get(name), found)
            if progress is not None:
                return found, name, progress, place + 1 < len(names)
        return found, None, None, False

    def _finished(self, files: dict[str, Progress], found: Found) -> Iterator[str]:
        """Yield the names of files that are to be read and no longer change; links are rejects, once each."""
        seen: dict[str, tuple[int, int, int]] = {}
        with os.scandir(self._place) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name.endswith(_UNFINISHED):
                    continue
                if not fnmatch.fnmatch(name, self._pattern):
                    continue
                if entry.is_symlink() and self._is_news(name):
                    found.rejects.append(Reject(foreign(name), fil.LINK()))
                if not entry.is_file(follow_symlinks=False):
                    continue
                state = entry.stat(follow_symlinks=False)
                seen[name] = (state.st_ino, state.st_size, state.st_mtime_ns)
                progress = files.get(name)
                if progress is not None and is_through(self._place / name, progress):
                    continue
                rest_s = self._clock.now().timestamp() - state.st_mtime
                if self._once or self._seen.get(name) == seen[name] or rest_s >= SETTLED_S:
                    yield name
        self._seen = seen

    def _is_news(self, name: str) -> bool:
        """Return True if a link was not reported yet."""
        if name in (DONE, FAILED) or name in self._links or len(self._links) >= MOST_LINKS:
            return False
        self._links.add(name)
        return True

    def _read_on(self, name: str, before: Progress | None, found: Found) -> Progress | None:
        """Return how far a file is read now, None when it is no longer there."""
        path = self._place / name
        others = len(found.rejects)
        try:
            piece, last = piece_of(
                path,
                None if before is None else before.mark,
                grouping=self._content.grouping,
                access=self._access,
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._hopeless(name, fil.DROPPED_UNREADABLE(error=error.strerror or error), found)
        if before is None or piece.fresh:
            before = Progress(mark=piece.mark)
        try:
            mark = self._content.understand(
                piece, name, found, everything=lambda: all_lines(path, self._access)
            )
        except ValueError as error:
            return self._hopeless(name, text_of(error), found, piece.mark)
        rejects = found.rejects[others:]
        reasons = [f"{reject.place}: {with_code(reject.reason)}" for reject in rejects]
        return Progress(
            mark=mark or piece.mark,
            readings=before.readings + len(found.readings),
            rejects=before.rejects + len(rejects),
            reasons=(*before.reasons, *reasons)[:MOST_REASONS],
            done=last,
        )

    @staticmethod
    def _hopeless(name: str, reason: str, found: Found, mark: Mark | None = None) -> Progress:
        found.rejects.append(Reject(foreign(name), reason))
        return Progress(
            mark=mark or Mark(),
            rejects=1,
            reasons=(f"{foreign(name)}: {with_code(reason)}",),
            done=True,
            hopeless=True,
        )


class _Moving:
    """Moves a file once its last readings are committed."""

    def __init__(self, reader: DropReader, name: str) -> None:
        self._reader = reader
        self._name = name

    def __call__(self) -> None:
        self._reader.committed(self._name)


def _nothing() -> None:
    """Stand for the acknowledgement of a file that is not read to its end."""


def _place_and_pattern(folder: Path, file: str) -> tuple[Path, str]:
    """Return the folder that `file` names, and the pattern of the files in it that are meant."""
    path = folder / file
    if _MAGIC & set(path.name):
        return path.parent, path.name
    return path, "*"
