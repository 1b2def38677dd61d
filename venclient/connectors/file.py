"""FILEREADER: gives the rows of a meter file that are new since the last time, never twice, never lost."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from venclient.connectors.base import Batch, Site
from venclient.connectors.file_format import CsvRows, FileOptions, JsonRows, split_cells
from venclient.connectors.file_tail import MOST_BYTES, Mark, Piece, next_piece
from venclient.connectors.options import check_options, refuse, subject_of
from venclient.connectors.timestamps import in_order
from venclient.errors import ConnectFailed, Undecodable
from venclient.model.reading import Reading, Reject
from venclient.model.resource import Resource

PAGE = "docs/connectors/file.md"
TIMEOUT_S = 30.0
#: A file in which nothing is for us is read on at most so many pieces at once.
MOST_PIECES = 50
#: With more than this unread the next look comes at once: a backlog must not take an interval per piece.
BACKLOG_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass
class _Found:
    readings: list[Reading] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class FileReader:
    """Follows one file. Reads at most 5000 lines at a time; the offset is kept with the readings."""

    def __init__(self, resource: Resource, options: FileOptions, site: Site) -> None:
        self.interval_s: float | None = options.interval_s
        self.timeout_s = TIMEOUT_S
        self._resource_id = resource.resourceID
        self._subject = subject_of(resource)
        self._name = resource.connection.file or ""
        self._path = site.folder / self._name
        self._options = options
        self._form = _form(options)
        self._key = f"file {resource.resourceID} {self._name}"
        self._bookmark = site.bookmark
        self._mark: Mark | None = None
        self._started = False
        self._rows: CsvRows | JsonRows | None = None
        self._rows_header: str | None = None
        self._at_end: tuple[int, int, int] | None = None

    async def read(self) -> Batch:
        """Give the new rows, none when there are none.

        ConnectFailed when the file cannot be read, Undecodable when it has not the columns asked for.
        """
        if not self._started:
            self._started = True
            self._mark = _mark_of(self._bookmark(self._key), self._form)
        state = self._state()
        if state is not None and state == self._at_end:
            return Batch()
        found, mark = await asyncio.to_thread(self._read_on, self._mark)
        if mark == self._mark:
            self._at_end = state
            return Batch(replayable=True)
        self._mark = mark
        bookmark = msgspec.json.encode(mark).decode()
        more = state is not None and mark is not None and state[1] - mark.offset > BACKLOG_BYTES
        return Batch(
            found.readings, found.rejects, bookmarks={self._key: bookmark}, replayable=True, more=more
        )

    async def close(self) -> None:
        """Do nothing: the file is open only while it is read."""

    def _state(self) -> tuple[int, int, int] | None:
        try:
            state = os.stat(self._path)  # noqa: PTH116 (as cheap as it gets: every file, every few seconds)
        except OSError:
            return None
        return state.st_ino, state.st_size, state.st_mtime_ns

    # In a thread

    def _read_on(self, mark: Mark | None) -> tuple[_Found, Mark | None]:
        found = _Found()
        for _ in range(MOST_PIECES):
            try:
                piece = next_piece(self._path, mark, complete=not self._options.follow)
            except OSError as error:
                raise ConnectFailed(
                    f"cannot read {self._path} ({error.strerror or error})",
                    subject=self._subject,
                    hint="check that the file exists and that the service may read it",
                ) from error
            if mark is not None and piece.mark.offset == mark.offset and piece.mark.inode == mark.inode:
                break
            mark = self._understand(piece, found)
            if found.readings or found.rejects or (not piece.lines and not piece.mark.skipping):
                break
        return found, mark

    def _understand(self, piece: Piece, found: _Found) -> Mark:
        mark = piece.mark
        if piece.fresh:
            mark = msgspec.structs.replace(mark, form=self._form, header=None, last=None)
        lines = list(piece.lines)
        if piece.fresh and lines and lines[0][1] is not None:
            lines[0] = (lines[0][0], lines[0][1].removeprefix(_BYTE_ORDER_MARK))
        if self._needs_header and mark.header is None:
            if not lines:
                return mark
            mark = msgspec.structs.replace(mark, header=self._text(lines.pop(0)[1], header=True))
        rows = self._rows_for(mark.header)
        last = None if mark.last is None else datetime.fromtimestamp(mark.last, UTC)
        for number, line in lines:
            try:
                row = rows.read(self._text(line))
                if row is None:
                    continue
            except ValueError as error:
                found.rejects.append(Reject(f"{self._name}:{number}", str(error)))
                continue
            fold = self._options.time.fold
            last = in_order(row.instants, last) if fold == "order" else row.instants[fold == "second"]
            found.readings += [
                Reading(self._resource_id, quantity, value, last) for quantity, value in row.values
            ]
            found.rejects += [Reject(f"{self._name}:{number}", reason) for reason in row.reasons]
        return msgspec.structs.replace(mark, last=None if last is None else last.timestamp())

    @property
    def _needs_header(self) -> bool:
        return self._options.format == "csv" and self._options.header is True

    def _text(self, line: bytes | None, *, header: bool = False) -> str:
        if line is None:
            problem = f"the line has more than {MOST_BYTES} bytes"
        else:
            try:
                return line.decode(self._options.codec)
            except UnicodeDecodeError as error:
                problem = f"the line is not {self._options.encoding} ({error.reason} at byte {error.start})"
        if header:
            raise self._undecodable(problem)
        raise ValueError(problem)

    def _rows_for(self, header: str | None) -> CsvRows | JsonRows:
        if self._rows is None or header != self._rows_header:
            try:
                self._rows = self._make_rows(header)
            except ValueError as error:
                raise self._undecodable(str(error)) from None
            self._rows_header = header
        return self._rows

    def _make_rows(self, header: str | None) -> CsvRows | JsonRows:
        options = self._options
        if options.format == "jsonl":
            return JsonRows(options)
        if header is not None:
            return CsvRows(options, split_cells(header, options.delimiter))
        return CsvRows(options, None if isinstance(options.header, bool) else options.header)

    def _undecodable(self, problem: str) -> Undecodable:
        return Undecodable(
            f"{self._path}: {problem}",
            subject=self._subject,
            hint="correct delimiter, encoding or the names of columns in the connection's options",
        )


def open_file_reader(resource: Resource, site: Site) -> FileReader:
    """Give the reader of a FILEREADER connection; ConfigError lists all that is wrong with it."""
    options, problems = check_options(resource.connection.options, FileOptions)
    if not resource.connection.file:
        problems.insert(0, "file: missing; expected the name of the meter file")
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    return FileReader(resource, options, site)


def _form(options: FileOptions) -> str:
    """Give a digest of all that decides what a row means: other options, and the file is read again."""
    meaning = msgspec.structs.replace(options, follow=True, interval_s=1.0)
    return blake2b(msgspec.json.encode(meaning, order="sorted"), digest_size=8).hexdigest()


def _mark_of(bookmark: str | None, form: str) -> Mark | None:
    if bookmark is None:
        return None
    try:
        mark = msgspec.json.decode(bookmark, type=Mark)
    except msgspec.DecodeError:
        return None
    return mark if mark.form == form else None
