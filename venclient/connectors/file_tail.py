"""Follows a file that grows: which lines are new since a mark, over rotation, truncation and restarts.

    same file, longer          go on at the mark
    another file by this name  first the rest of the old one, if it lies beside under another name, and what
                               was rotated away since; then from the start
    shorter, or other bytes    first the rest of its copy, if one lies beside; then from the start

A line counts when its line end is there. Reads in pieces of bounded size; knows nothing of formats.
NUL bytes are dropped. A block of them, as a power cut leaves it in a file, ends a line: what is before it was
torn off (`Torn`), and what comes after it is a separate row.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from venclient.connectors.file_access import Access
from venclient.connectors.file_records import Grouping, Line, Torn

MOST_LINES = 5000
ANYWHERE = Access()
MOST_BYTES = 1024 * 1024
_HEAD_BYTES = 256
_TAIL_BYTES = 64
#: One NUL alone may be a stray byte within a row; more are what was never written.
_NULS = re.compile(rb"\0{2,}")
#: What a rotation adds to a name: .1, -20260601, .2026-06-01 (compressed files are not read).
_ROTATED = re.compile(r"[.-]\d[\d.:T_-]*")


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a file was read: everything before `offset`, which is `lines` lines.

    `seen` identifies this file: a digest of its first bytes and those before the offset.
    `skipping` says that the offset lies within a line that is too long. `wide` (it is UTF-16), `form`,
    `header`, `last` and `note` are for the code that parses the lines: the options, the header line, the
    time of the last row (epoch s), what the rows were found to be.
    """

    inode: int = 0
    offset: int = 0
    lines: int = 0
    seen: str = ""
    skipping: bool = False
    wide: bool = False
    form: str = ""
    header: str | None = None
    last: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Piece:
    """New lines with their numbers (from 1), without line ends. A line of None was too long.

    `mark` is where to go on; `fresh` says that the lines are the first of a file, `last` that nothing comes
    after them but perhaps a part of a line or record.
    """

    lines: Sequence[Line]
    mark: Mark
    fresh: bool = False
    last: bool = False


def next_piece(
    path: Path,
    mark: Mark | None,
    *,
    complete: bool = False,
    grouping: Grouping | None = None,
    access: Access = ANYWHERE,
) -> Piece:
    """Return the lines that come after `mark` (None: from the start); OSError when the file cannot be read.

    `complete` says that the file is finished: its last line counts without a line end. Of lines that
    `grouping` joins to records only whole records are given.
    """
    try:
        with access.open(path) as file:
            state = os.fstat(file.fileno())
            if mark is not None and _goes_on(file, mark):
                return _read(file, mark, complete=complete, grouping=grouping)
            rest = None
            if mark is not None:
                rest = _rest_of_rotated(path, mark, grouping, access, truncated=mark.inode == state.st_ino)
            return rest or _read(file, Mark(inode=state.st_ino), complete=complete, grouping=grouping)
    except FileNotFoundError:
        # Between the two steps of a rotation.
        rest = None if mark is None else _rest_of_rotated(path, mark, grouping, access)
        if rest is None:
            raise
        return rest


def piece_of(
    path: Path, mark: Mark | None, *, grouping: Grouping | None = None, access: Access = ANYWHERE
) -> tuple[Piece, bool]:
    """Return the lines of a complete file after `mark`, and whether they are its last; OSError as above.

    A file that is not the marked one is read from its start.
    """
    with access.open(path) as file:
        state = os.fstat(file.fileno())
        if mark is None or not _goes_on(file, mark):
            mark = Mark(inode=state.st_ino)
        piece = _read(file, mark, complete=True, grouping=grouping)
        return piece, piece.mark.offset >= os.fstat(file.fileno()).st_size


def all_lines(path: Path, access: Access = ANYWHERE) -> Iterator[bytes]:
    """Return the lines of a file from its start, without line ends and NULs; OSError if unreadable."""
    with access.open(path) as file:
        while line := file.readline(MOST_BYTES):
            yield line.replace(b"\0", b"").rstrip(b"\r\n")


def is_read(path: Path, mark: Mark, access: Access = ANYWHERE) -> bool:
    """Tell whether a file is the marked one and nothing of it lies behind the mark; OSError as above."""
    with access.open(path) as file:
        return _goes_on(file, mark) and os.fstat(file.fileno()).st_size == mark.offset


def _rest_of_rotated(
    path: Path, mark: Mark, grouping: Grouping | None, access: Access, *, truncated: bool = False
) -> Piece | None:
    """Return the unread part of files that were rotated away within the folder, None when that is all.

    First comes the rest of the marked file, or of its copy where it was copied and truncated; then the files
    that took its place and were rotated away in turn between two looks.
    """
    access = replace(access, dropped=True)
    beside = sorted(_rotated(path), key=lambda one: one[1].st_mtime_ns)
    old_ns: int | None = None
    for name, state in beside:
        is_it = bool(_added(path, name)) if truncated else state.st_ino == mark.inode
        piece = _beside(name, mark, grouping, access, copied=truncated) if is_it else None
        if piece is not None:
            if piece.mark.offset > mark.offset:
                return piece
            old_ns = state.st_mtime_ns
            break
    if old_ns is None or truncated:
        return None
    for name, state in beside:
        if state.st_mtime_ns > old_ns and _added(path, name):
            piece = _beside(name, Mark(inode=state.st_ino), grouping, access)
            if piece is not None and piece.mark.offset:
                return piece
    return None


def _beside(
    name: Path, mark: Mark, grouping: Grouping | None, access: Access, *, copied: bool = False
) -> Piece | None:
    """Return the rest of a file that no longer grows after a mark, None if it is another or unreadable."""
    try:
        with access.open(name) as file:
            if mark.offset and not _goes_on(file, mark, copied=copied):
                return None
            inode = os.fstat(file.fileno()).st_ino
            return _read(file, mark, complete=True, grouping=grouping, inode=inode)
    except OSError:
        return None


def _rotated(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Return the other ordinary files of the folder."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name != path.name and entry.is_file(follow_symlinks=False):
                yield Path(entry.path), entry.stat(follow_symlinks=False)


def _added(path: Path, other: Path) -> str:
    """Return what the name of a rotated file adds to that of the followed one, "" when they are unlike."""
    name = other.name
    for start, end in ((path.name, ""), (path.stem, path.suffix)):
        if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end):
            added = name[len(start) : len(name) - len(end)]
            if _ROTATED.fullmatch(added):
                return added
    return ""


def _goes_on(file: BinaryIO, mark: Mark, *, copied: bool = False) -> bool:
    state = os.fstat(file.fileno())
    same = state.st_ino == mark.inode or (copied and mark.offset > 0)
    return same and state.st_size >= mark.offset and _digest(file, mark.offset) == mark.seen


def _digest(file: BinaryIO, offset: int) -> str:
    file.seek(0)
    head = file.read(min(_HEAD_BYTES, offset))
    file.seek(max(0, offset - _TAIL_BYTES))
    return blake2b(head + file.read(min(_TAIL_BYTES, offset)), digest_size=8).hexdigest()


def _whole(lines: Sequence[Line], grouping: Grouping | None, *, complete: bool, last: bool) -> int:
    """Return how many lines make whole records; `last` says that no more lines are there."""
    if grouping is None:
        return len(lines)
    whole = grouping(lines, complete and last)[1]
    if not whole and not last:
        whole = grouping(lines, True)[1]  # a record longer than a block is none
    return whole


def _without_nuls(part: bytes) -> Iterator[tuple[int, bytes]]:
    """Return what is between the blocks of NULs of a line, without single NULs, and where each begins.

    Only the last of them has the line's end; what is before another is torn.
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    for block in (*_NULS.finditer(part), None):
        rest = part[at : len(part) if block is None else block.start()].replace(b"\0", b"")
        if rest.strip():
            found.append((at, rest))
        at = 0 if block is None else block.end()
    for place, rest in found[:-1]:
        yield place, Torn(rest)
    for place, rest in found[-1:]:
        yield place, rest.removesuffix(b"\r")


def _behind_nuls(part: bytes) -> int:
    """Return the place behind the last block of NULs, 0 where there is none."""
    at = part.rfind(b"\0\0")
    return at + 2 if at >= 0 else 0


def _read(
    file: BinaryIO,
    mark: Mark,
    *,
    complete: bool,
    grouping: Grouping | None = None,
    inode: int | None = None,
) -> Piece:
    file.seek(mark.offset)
    block = file.read(MOST_BYTES)
    at_end = len(block) < MOST_BYTES
    parts = block.split(b"\n")
    unfinished = parts.pop()
    lines: list[Line] = []
    starts: list[int] = []
    offset, number, skipping = mark.offset, mark.lines, mark.skipping

    def take(part: bytes | None, before: int = 0) -> None:
        if part is not None and b"\0" in part:
            for at, rest in _without_nuls(part):
                lines.append((number, rest))
                starts.append(offset + before + at)
            return
        lines.append((number, part if part is None or isinstance(part, Torn) else part.removesuffix(b"\r")))
        starts.append(offset + before)

    for part in parts[:MOST_LINES]:
        number += 1
        if not skipping:
            take(part)
        elif torn := _behind_nuls(part):
            take(part[torn:], torn)
        offset += len(part) + 1
        skipping = False
    all_taken = len(parts) <= MOST_LINES
    if all_taken and unfinished:
        if at_end and complete:
            number += 1
            if not skipping:
                take(unfinished)
            offset += len(unfinished)
            skipping = False
        elif not at_end and not parts and (torn := _behind_nuls(unfinished)):
            # A block of NULs and no line end: what is before it was torn off, what follows is read next.
            rest = unfinished[:torn].replace(b"\0", b"")
            if rest.strip() and not skipping:
                number += 1
                take(Torn(rest))
                number -= 1
            offset += torn
            skipping = False
        elif skipping or (not parts and not at_end):
            # One line fills the whole block: it cannot be a record.
            if not skipping:
                number += 1
                take(None)
                number -= 1
            skipping = True
            offset += len(unfinished)
    whole = _whole(lines, grouping, complete=complete, last=at_end and all_taken)
    if whole < len(lines):
        offset, number, skipping = starts[whole], lines[whole][0] - 1, False
        del lines[whole:]
    after = msgspec.structs.replace(
        mark,
        inode=mark.inode if inode is None else inode,
        offset=offset,
        lines=number,
        skipping=skipping,
        seen=_digest(file, offset),
    )
    return Piece(lines, after, fresh=mark.offset == 0, last=at_end and all_taken)
