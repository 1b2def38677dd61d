"""Limits on what a VTN sends: bytes of one response, and pages, objects, bytes and seconds of one listing."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from venclient.clock import Clock
from venclient.messages import Text
from venclient.messages import client as vtn

MB = 2**20
#: A chunk is decompressed in pieces of at most this size.
_PIECE = 2**18
#: Servers compress once; some proxies once more.
_MOST_ENCODINGS = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The maxima of one response and of one listing, in MB after decompression."""

    response_mb: float = 32.0
    listing_mb: float = 128.0
    listing_pages: int = 2_000
    listing_items: int = 50_000
    listing_s: float = 600.0


class LimitReached(Exception):
    """A response or a listing is over a limit; `what` says which."""

    def __init__(self, what: Text) -> None:
        super().__init__(what)
        self.what = what


class Body:
    """Collects the body of a response, decompressed, and never more of it than the limit."""

    def __init__(self, encoding: str, most_mb: float) -> None:
        self._most = int(most_mb * MB)
        self._most_mb = most_mb
        self._parts: list[bytes] = []
        names = _names(encoding)
        if len(names) > _MOST_ENCODINGS:
            raise LimitReached(vtn.ENCODING(name=", ".join(names)[:40]))
        self._decoders = [_decoder(name) for name in reversed(names)]
        #: By level: bytes in between count as well, what they cost does not depend on what comes of them.
        self._sizes = [0] * (len(names) + 1)

    def add(self, raw: bytes) -> None:
        """Take a chunk as it came over the network. LimitReached; zlib.error for a damaged one."""
        self._put(raw, 0)

    def _put(self, data: bytes, level: int) -> None:
        self._sizes[level] += len(data)
        if self._sizes[level] > self._most:
            self._parts.clear()
            raise LimitReached(vtn.RESPONSE_TOO_LARGE(most=self._most_mb))
        if level == len(self._decoders):
            self._parts.append(data)
            return
        decoder = self._decoders[level]
        while data and not decoder.eof:
            piece = decoder.decompress(data, _PIECE)
            data = decoder.unconsumed_tail
            if piece:
                self._put(piece, level + 1)

    def whole(self) -> bytes:
        """Return the body."""
        return b"".join(self._parts)


def _names(encoding: str) -> list[str]:
    names = [name.strip().lower() for name in encoding.split(",")]
    return [name for name in names if name not in ("", "identity")]


def _decoder(name: str) -> Any:
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if name == "deflate":
        return _Deflate()
    raise LimitReached(vtn.ENCODING(name=name[:40]))


class _Deflate:
    """Deflate as servers send it: with the header of zlib, or without."""

    def __init__(self) -> None:
        self._inner: Any = None
        self.unconsumed_tail = b""

    @property
    def eof(self) -> bool:
        """True after the end of the data."""
        return self._inner is not None and bool(self._inner.eof)

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return at most `most` bytes; the rest of the input is in `unconsumed_tail`."""
        if self._inner is None:
            self._inner = zlib.decompressobj()
            try:
                found: bytes = self._inner.decompress(data, most)
            except zlib.error:
                self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
                found = self._inner.decompress(data, most)
        else:
            found = self._inner.decompress(data, most)
        self.unconsumed_tail = self._inner.unconsumed_tail
        return found


class ListingBudget:
    """What one listing has used of its limits. Each method may raise LimitReached."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._began_s = clock.monotonic()
        self._pages = self._items = self._bytes = 0

    def begin_page(self, skip: int) -> None:
        """Note that a page is asked for; with the first one the counts begin again."""
        if skip == 0:
            self._pages = self._items = self._bytes = 0
        limits = self._limits
        seconds = self._clock.monotonic() - self._began_s
        if self._pages >= limits.listing_pages:
            raise LimitReached(vtn.LISTING_PAGES(most=limits.listing_pages))
        if self._pages and seconds > limits.listing_s:
            raise LimitReached(vtn.LISTING_SECONDS(most=limits.listing_s))
        self._pages += 1

    def take(self, size: int, items: int) -> None:
        """Count the content of a page."""
        self._bytes, self._items = self._bytes + size, self._items + items
        if self._items > self._limits.listing_items:
            raise LimitReached(vtn.LISTING_ITEMS(most=self._limits.listing_items))
        if self._bytes > self._limits.listing_mb * MB:
            raise LimitReached(vtn.LISTING_MB(most=self._limits.listing_mb))
