"""Room on the disk that is held for the moment when it is full: letting readings go needs some, too.

SQLite notes in its log what it frees before it can use it again, and a full disk has no room for that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: As much as the log grows between two checkpoints.
RESERVE_BYTES = 4 * 2**20
SUFFIX = "-reserve"


class Reserve:
    """A file beside the readings file that only takes up room."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + SUFFIX)

    def hold(self) -> bool:
        """Take the room, when twice as much is free; True when it is held.

        Nothing is written where the system can set blocks apart.
        """
        with suppress(OSError):
            if self._path.exists():
                return True
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * RESERVE_BYTES:
                return False
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(file, 0, RESERVE_BYTES)
            except OSError:
                self._path.unlink(missing_ok=True)
                return False
            finally:
                os.close(file)
            return True
        return False

    def give(self) -> bool:
        """Free the reserved room on the disk; True when there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
