"""Pages of listings that were read before, with the tags by which a VTN tells that they are the same."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from venclient.openadr.codec import Decoded

#: Path segments, and the whole query.
PageKey = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]

#: Pages of at most 50 objects; the ones longest unasked for are forgotten first.
MOST_PAGES = 1000


class HeldPage(NamedTuple):
    """A page as it was read, and the entity tag that it came with."""

    etag: str
    decoded: Decoded[Any]


class PageMemory:
    """Remembers pages that came with an ETag, so that an unchanged one is neither sent nor read again."""

    def __init__(self, most: int = MOST_PAGES) -> None:
        self._most = most
        self._held: OrderedDict[PageKey, HeldPage] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: PageKey) -> HeldPage | None:
        """Return the page that was read at that address, None when it has to be read."""
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
        return held

    def keep(self, key: PageKey, etag: str | None, decoded: Decoded[Any]) -> None:
        """Remember a page by its tag; one without a tag is forgotten."""
        self._held.pop(key, None)
        if etag:
            self._held[key] = HeldPage(etag, decoded)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
