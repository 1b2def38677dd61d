"""Which files are meter files: opened without waiting, and looked at before a byte of them is used.

    configured     file = "meters/a.csv"     may be a link; what it leads to must be within the roots
    dropped        in/k.csv                  a link is not followed: other users may write there
    rotated        meters/a.csv.1            likewise

Never meter files: what is not an ordinary file (a pipe would wait for ever), system folders, databases and
their keys. The opened descriptor is checked, not the name, which may mean another file a moment later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from venclient.connectors.base import Site
from venclient.messages import files as fil

#: No meter writes here, and much of it is secret or not really a file.
SYSTEM_FOLDERS = tuple(map(Path, ("/etc", "/proc", "/sys", "/dev")))
#: How a file of SQLite starts, and the two ways in which its log does.
_DATABASE_HEADS = (b"SQLite format 3\0", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_HEAD_BYTES = 16
_BESIDE_DATABASES = ("", "-wal", "-shm", "-journal", ".key")
_KEY = ".key"
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True)
class Access:
    """Which files may be opened: within `roots` (None: anywhere), and none of the `protected` ones.

    `dropped` says that the last part of a name may not be a link.
    """

    protected: Sequence[Path] = ()
    roots: tuple[Path, ...] | None = None
    dropped: bool = False

    def open(self, path: Path) -> BinaryIO:
        """Return an open meter file; OSError when it cannot be opened or is none."""
        # Opening a device can have side effects: its name is checked first.
        self._check_place(Path(os.path.realpath(path)))
        descriptor = os.open(path, _FLAGS | (os.O_NOFOLLOW if self.dropped else 0))
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(fil.NOT_ORDINARY())
            self._check_place(_place_of(descriptor, path))
            if (state.st_dev, state.st_ino) in self._protected() or _is_private(descriptor, path):
                raise OSError(fil.OWN_FILE())
            return os.fdopen(descriptor, "rb")
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise

    def check_folder(self, folder: Path) -> None:
        """Raise OSError where no meter file of the folder may be read."""
        self._check_place(Path(os.path.realpath(folder)))

    def _check_place(self, place: Path) -> None:
        if any(place.is_relative_to(folder) for folder in SYSTEM_FOLDERS):
            raise OSError(fil.SYSTEM_FILE())
        if self.roots is not None and not is_within(place, self.roots):
            raise OSError(fil.OUTSIDE())

    def _protected(self) -> set[tuple[int, int]]:
        found = set()
        for path in self.protected:
            for end in _BESIDE_DATABASES:
                with suppress(OSError):
                    state = path.with_name(path.name + end).stat()
                    found.add((state.st_dev, state.st_ino))
        return found


def is_within(place: Path, roots: Iterable[Path]) -> bool:
    """Return True if a place without links in it lies within one of some folders."""
    return any(place.is_relative_to(os.path.realpath(root)) for root in roots)


def _place_of(descriptor: int, path: Path) -> Path:
    """Return where an open file really is."""
    with suppress(OSError):
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    return Path(os.path.realpath(path))


def _is_private(descriptor: int, path: Path) -> bool:
    """Return True if a file is a database or the key of one, also one that is not in the list."""
    if os.pread(descriptor, _HEAD_BYTES, 0).startswith(_DATABASE_HEADS):
        return True
    real = Path(os.path.realpath(path))
    keys = [one for one in (path, real) if one.name.endswith(_KEY) and one.name != _KEY]
    return any(one.with_name(one.name.removesuffix(_KEY)).exists() for one in keys)


def access_of(site: Site, key: str, *, dropped: bool = False) -> Access:
    """Return which files a connection may read; `key` is that of its bookmark.

    One that was read before goes on, wherever its files are.
    """
    known = site.roots is None or site.bookmark(key) is not None
    roots = None if known else (site.folder, *(site.roots or ()))
    return Access(site.protected, roots, dropped)
