"""Pages of listings that were read before, with the tags by which a VTN says that they are unchanged."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from venclient.openadr.codec import Decoded

#: Path segments, and the whole query.
PageKey = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]

#: Pages of at most 50 objects; the ones longest unasked for are forgotten first.
MOST_PAGES = 1000
MOST_BYTES = 2**25
_LONGEST_TAG = 1000


class HeldPage(NamedTuple):
    """A page as it was read, and the entity tag that it came with."""

    etag: str
    decoded: Decoded[Any]
    size: int = 0


class PageMemory:
    """Remembers pages that came with an ETag: an unchanged one is neither sent nor read again."""

    def __init__(self, most: int = MOST_PAGES, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: OrderedDict[PageKey, HeldPage] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: PageKey) -> HeldPage | None:
        """Return the page that was read at that address, None when it has to be read."""
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
        return held

    def keep(self, key: PageKey, etag: str | None, decoded: Decoded[Any], size: int = 0) -> None:
        """Remember a page of `size` bytes by its tag; one without a tag is forgotten."""
        before = self._held.pop(key, None)
        self._bytes -= before.size if before is not None else 0
        if etag and len(etag) <= _LONGEST_TAG:
            self._held[key] = HeldPage(etag, decoded, size)
            self._bytes += size
            while len(self._held) > self._most or self._bytes > self._most_bytes:
                _, dropped = self._held.popitem(last=False)
                self._bytes -= dropped.size
