"""Follows a file that grows: which lines are new since a mark, over rotation, truncation and restarts.

    same file, longer          go on at the mark
    another file by this name  first the rest of the old one, if it lies beside under another name
    shorter, or other bytes    from the start

A line counts when its line end is there. Reads in pieces of bounded size; knows nothing of formats.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

MOST_LINES = 5000
MOST_BYTES = 1024 * 1024
_HEAD_BYTES = 256
_TAIL_BYTES = 64


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a file was read: everything before `offset`, which is `lines` lines.

    `seen` tells this file from another: a digest of its first bytes and those before the offset.
    `skipping` says that the offset lies within a line that is too long. `form`, `header` and `last` are
    for whoever understands the lines: the options, the header line, the time of the last row (epoch s).
    """

    inode: int = 0
    offset: int = 0
    lines: int = 0
    seen: str = ""
    skipping: bool = False
    form: str = ""
    header: str | None = None
    last: float | None = None


@dataclass(frozen=True)
class Piece:
    """New lines with their numbers (from 1), without line ends. A line of None was too long.

    `mark` is where to go on; `fresh` says that the lines are the first of a file.
    """

    lines: Sequence[tuple[int, bytes | None]]
    mark: Mark
    fresh: bool = False


def next_piece(path: Path, mark: Mark | None, *, complete: bool = False) -> Piece:
    """Give the lines that come after `mark` (None: from the start); OSError when the file cannot be read.

    `complete` says that the file is finished: its last line counts without a line end.
    """
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise OSError("it is no ordinary file")
            if mark is not None and _goes_on(file, mark):
                return _read(file, mark, complete=complete)
            rest = None if mark is None or mark.inode == state.st_ino else _rest_of_rotated(path, mark)
            return rest or _read(file, Mark(inode=state.st_ino), complete=complete)
    except FileNotFoundError:
        # Between the two steps of a rotation.
        rest = None if mark is None else _rest_of_rotated(path, mark)
        if rest is None:
            raise
        return rest


def _rest_of_rotated(path: Path, mark: Mark) -> Piece | None:
    """Give what was not yet read of a file that was renamed within its folder, None when nothing is left."""
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.path for entry in entries if entry.inode() == mark.inode]
        for name in names:
            with Path(name).open("rb") as file:
                if _goes_on(file, mark):
                    piece = _read(file, mark, complete=True)
                    return piece if piece.lines else None
    except OSError:
        return None
    return None


def _goes_on(file: BinaryIO, mark: Mark) -> bool:
    state = os.fstat(file.fileno())
    same = state.st_ino == mark.inode and state.st_size >= mark.offset
    return same and _digest(file, mark.offset) == mark.seen


def _digest(file: BinaryIO, offset: int) -> str:
    file.seek(0)
    head = file.read(min(_HEAD_BYTES, offset))
    file.seek(max(0, offset - _TAIL_BYTES))
    return blake2b(head + file.read(min(_TAIL_BYTES, offset)), digest_size=8).hexdigest()


def _read(file: BinaryIO, mark: Mark, *, complete: bool) -> Piece:
    file.seek(mark.offset)
    block = file.read(MOST_BYTES)
    at_end = len(block) < MOST_BYTES
    parts = block.split(b"\n")
    unfinished = parts.pop()
    lines: list[tuple[int, bytes | None]] = []
    offset, number, skipping = mark.offset, mark.lines, mark.skipping
    for part in parts[:MOST_LINES]:
        offset += len(part) + 1
        number += 1
        if not skipping:
            lines.append((number, part.removesuffix(b"\r")))
        skipping = False
    if len(parts) <= MOST_LINES and unfinished:
        if at_end and complete:
            offset += len(unfinished)
            number += 1
            if not skipping:
                lines.append((number, unfinished.removesuffix(b"\r")))
            skipping = False
        elif skipping or (not parts and not at_end):
            # One line fills the whole block: nobody will make sense of it.
            if not skipping:
                lines.append((number + 1, None))
            skipping = True
            offset += len(unfinished)
    after = msgspec.structs.replace(
        mark, offset=offset, lines=number, skipping=skipping, seen=_digest(file, offset)
    )
    return Piece(lines, after, fresh=mark.offset == 0)
