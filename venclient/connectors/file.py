"""FILEREADER: gives the rows of a meter file that are new since the last time, never twice, never lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import msgspec

from venclient.connectors.base import Batch, Reader, Site
from venclient.connectors.file_access import access_of
from venclient.connectors.file_content import Arrival, Content, Found
from venclient.connectors.file_drop import DropReader
from venclient.connectors.file_format import FileOptions
from venclient.connectors.file_tail import Mark, all_lines, next_piece
from venclient.connectors.file_workers import WORKERS
from venclient.connectors.mistakes import placed
from venclient.connectors.options import check_options, refuse, subject_of
from venclient.errors import ConnectFailed, Undecodable
from venclient.messages import files as fil
from venclient.messages import text_of
from venclient.model.resource import Resource

T = TypeVar("T")

PAGE = "docs/connectors/file.md"
TIMEOUT_S = 30.0
#: The file system gets a little less: a poller that runs out of patience knows less of why.
ANSWER_WITHIN_S = 28.0
#: Maximum number of pieces in one look at a file in which nothing is for us.
MOST_PIECES = 50
#: With more than this unread the next look comes at once: a backlog must not take an interval per piece.
BACKLOG_BYTES = 64 * 1024
#: A larger file that could not be understood is read again once it has grown by a twentieth.
LARGE_BYTES = 1024 * 1024


class FileReader:
    """Follows one file. Reads at most 5000 lines at a time; the offset is kept with the readings."""

    def __init__(self, resource: Resource, options: FileOptions, site: Site) -> None:
        self.interval_s: float | None = options.interval_s
        self.timeout_s = TIMEOUT_S
        self._resource_id = resource.resourceID
        self._subject = subject_of(resource)
        self._name = resource.connection.file or ""
        self._path = site.folder / self._name
        self._complete = options.is_complete
        self._content = Content(resource, options, quotes=site.one_shot, thinned=site.thinned)
        self._key = f"file {resource.resourceID} {self._name}"
        self._bookmark = site.bookmark
        self._access = access_of(site, self._key)
        self._mark: Mark | None = None
        self._started = False
        self._at_end: tuple[int, int, int] | None = None
        self._clock = site.clock
        #: When the file was last seen to its end by this reader; what comes later arrived since.
        self._looked: datetime | None = None
        #: The file as it was when it could not be understood, and why: as long as it is the same, so is this.
        self._refused: tuple[tuple[int, int, int] | None, Undecodable] | None = None

    async def read(self) -> Batch:
        """Return the new rows, none when there are none.

        ConnectFailed when the file cannot be read, Undecodable when it has not the columns asked for.
        """
        if not self._started:
            self._started = True
            self._mark = _mark_of(self._bookmark(self._key), self._content.form)
        state = await self._aside(self._state)
        now = self._clock.now()
        if state is not None and state == self._at_end:
            self._looked = now
            return Batch()
        if self._refused is not None and state is not None and _is_still(self._refused[0], state):
            error = self._refused[1]
            raise Undecodable(error.what, subject=error.subject, hint=error.hint)
        arrival = None if self._complete else Arrival(self._looked, self._written(state, now))
        self._looked = None
        try:
            found, mark, last = await self._aside(partial(self._read_on, self._mark, arrival))
        except Undecodable as error:
            self._refused = state, error
            raise
        self._refused = None
        self._looked = now if last else None
        if mark == self._mark:
            self._at_end = state
            return Batch(replayable=True)
        self._mark = mark
        bookmark = msgspec.json.encode(mark).decode()
        more = state is not None and mark is not None and state[1] - mark.offset > BACKLOG_BYTES
        return Batch(
            found.readings, found.rejects, bookmarks={self._key: bookmark}, replayable=True, more=more
        )

    @property
    def said(self) -> str:
        """How the file is read, in words: delimiter, header, decimal mark, columns; "" before that."""
        return self._content.said

    async def close(self) -> None:
        """Do nothing: the file is open only while it is read."""

    async def _aside(self, work: Callable[[], T]) -> T:
        """Return what `work` on the file returns; ConnectFailed when the file system does not answer."""
        try:
            return await WORKERS.run(self._path.parent, work, within_s=ANSWER_WITHIN_S)
        except ConnectFailed as error:
            raise ConnectFailed(error.what, subject=self._subject, hint=error.hint) from None

    # In a thread

    def _state(self) -> tuple[int, int, int] | None:
        try:
            state = os.stat(self._path)  # noqa: PTH116 (as cheap as it gets: every file, every few seconds)
        except OSError:
            return None
        return state.st_ino, state.st_size, state.st_mtime_ns

    def _written(self, state: tuple[int, int, int] | None, now: datetime) -> datetime:
        """Return when the newest line was written: now, unless the file has not changed for a while."""
        if state is None or self._looked is not None:
            return now
        age_s = time.time() - state[2] / 1e9  # both are the system's, whatever clock this reader has
        return now - timedelta(seconds=age_s) if age_s > max(10.0, self.interval_s or 0.0) else now

    def _read_on(self, mark: Mark | None, arrival: Arrival | None) -> tuple[Found, Mark | None, bool]:
        """Return what is new, the mark behind it, and whether that is all there is."""
        found = Found()
        last = False
        for _ in range(MOST_PIECES):
            try:
                piece = next_piece(
                    self._path,
                    mark,
                    complete=self._complete,
                    grouping=self._content.grouping,
                    access=self._access,
                )
            except OSError as error:
                raise ConnectFailed(
                    fil.CANNOT_READ(path=self._path, error=error.strerror or error), subject=self._subject
                ) from error
            last = piece.last
            if mark is not None and piece.mark.offset == mark.offset and piece.mark.inode == mark.inode:
                break
            try:
                understood = self._content.understand(
                    piece, self._name, found, arrival, lambda: all_lines(self._path, self._access)
                )
            except ValueError as error:
                raise Undecodable(
                    placed(str(self._path), text_of(error)), subject=self._subject, hint=fil.NOT_READABLE.hint
                ) from None
            if understood is None:
                break
            mark = understood
            if found.readings or found.rejects or (not piece.lines and not piece.mark.skipping):
                break
        return found, mark, last


def open_file_reader(resource: Resource, site: Site) -> Reader:
    """Build the reader of a FILEREADER connection; ConfigError lists all that is wrong with it."""
    options, problems = check_options(resource.connection.options, FileOptions)
    if not resource.connection.file:
        problems.insert(0, fil.FILE_MISSING())
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    if options.drop:
        return DropReader(resource, options, site)
    return FileReader(resource, options, site)


def _is_still(refused: tuple[int, int, int] | None, state: tuple[int, int, int]) -> bool:
    """Return whether a file is as it was when it could not be understood.

    A large file is read whole to see what it shows: a few more rows do not justify that.
    """
    if refused is None or refused == state:
        return refused is not None
    (inode, size, _), (inode_now, size_now, _) = refused, state
    return inode == inode_now and size > LARGE_BYTES and size <= size_now < size + size // 20


def _mark_of(bookmark: str | None, form: str) -> Mark | None:
    if bookmark is None:
        return None
    try:
        mark = msgspec.json.decode(bookmark, type=Mark)
    except msgspec.DecodeError:
        return None
    return mark if mark.form == form else None
