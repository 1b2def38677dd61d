"""Whole listings out of pages of at most 50, with a watch for lists that move while they are read.

A page that is shorter than asked for need not be the last: some VTNs give fewer at a time. Each page begins
with the last element of the page before it. When another one stands there, something was inserted, removed or
reordered meanwhile, and the listing is read again; and so it is when a later page has changed while the ones
before it were taken as unchanged, or when an object is missing that was there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from venclient.client.limits import LimitReached
from venclient.errors import VtnProblem
from venclient.messages import Text
from venclient.openadr.codec import Decoded, Refused

S = TypeVar("S", bound=msgspec.Struct)

PAGE = 50
_PASSES = 4


@dataclass(frozen=True, slots=True)
class Page(Generic[S]):
    """A page as far as it could be read; `changed` when another one was held under its address."""

    decoded: Decoded[S]
    changed: bool = False


#: How VTNs answer a request for a page behind the last one.
_BEHIND_THE_END = frozenset({400, 404, 416, 422})

#: Gives the page of at most `limit` elements from position `skip`.
FetchPage = Callable[[int, int], Awaitable[Page[S]]]


@dataclass(frozen=True, slots=True)
class Listing(Generic[S]):
    """Every object that the VTN lists, once each, in its order; `refused` could not be understood.

    `complete` says whether absence means anything: only then may a missing object be taken for gone.
    `ids` holds the id of everything listed, what was refused included. `ignored` were read in part.
    `limited` says which limit ended it.
    """

    items: tuple[S, ...]
    refused: tuple[Refused, ...]
    complete: bool
    ids: frozenset[str]
    ignored: tuple[Refused, ...] = ()
    limited: Text | None = None

    def joined(self, other: Listing[S]) -> Listing[S]:
        """Return both listings as one; an object in both counts once, as it is here."""
        fresh = [item for item in other.items if _id(item) not in self.ids]
        return Listing(
            self.items + tuple(fresh),
            self.refused + tuple(one for one in other.refused if one.id is None or one.id not in self.ids),
            self.complete and other.complete,
            self.ids | other.ids,
            self.ignored + tuple(one for one in other.ignored if one.id is None or one.id not in self.ids),
            self.limited or other.limited,
        )


class _Pass(Generic[S]):
    """One reading from the first page to the last."""

    def __init__(self) -> None:
        self.items: list[S] = []
        self.refused: list[Refused] = []
        self.ignored: list[Refused] = []
        self.ids: set[str] = set()
        self.pages = 0
        self.steady = True
        self.nameless = False
        #: Objects without an id by their content: one that is the same on another page is not new.
        self._nameless: set[object] = set()

    async def read(self, fetch: FetchPage[S]) -> None:
        """Read until a page is empty or has nothing new: a VTN may give fewer than it was asked for."""
        skip, last_id, changed = 0, None, False
        first: Sequence[str | None] = ()
        length = PAGE
        while True:
            try:
                got = await fetch(skip, PAGE)
            except VtnProblem as problem:
                # Behind a short page there may be nothing, which some VTNs answer with an error.
                if skip and length < PAGE and problem.status in _BEHIND_THE_END:
                    return
                raise
            page, length = got.decoded, len(got.decoded.ids)
            # A VTN that knows no paging gives the same page again.
            if skip and length > 1 and page.ids == first:
                return
            if skip and got.changed and not changed:
                self.steady = False
            if last_id is not None and (not page.ids or page.ids[0] != last_id):
                self.steady = False
            if not self._take(page):
                return
            self.pages += 1
            first, changed = first or page.ids, got.changed
            last_id = page.ids[-1] if length > 1 else None
            skip += length - (last_id is not None)

    def _take(self, page: Decoded[S]) -> bool:
        """Keep what is new on a page; False when nothing is."""
        before = len(self.items) + len(self.refused) + len(self.ids)
        on_page: set[object] = set()
        for item in page.items:
            key = _id(item) or msgspec.json.encode(item)
            if (
                key not in self.ids
                and key not in self._nameless
                and (_id(item) is None or key not in on_page)
            ):
                self.items.append(item)
            on_page.add(key)
        for one in page.refused:
            if one not in self._nameless if one.id is None else one.id not in self.ids:
                self.refused.append(one)
        self._nameless.update(one for one in on_page if isinstance(one, bytes))
        self._nameless.update(one for one in page.refused if one.id is None)
        self.ignored += [one for one in page.ignored if one.id is None or one.id not in self.ids]
        self.nameless = self.nameless or None in page.ids
        self.ids.update(id_ for id_ in page.ids if id_ is not None)
        return len(self.items) + len(self.refused) + len(self.ids) > before


async def read_listing(fetch: FetchPage[S], known: Collection[str] = ()) -> Listing[S]:
    """Read all pages; again, a few times, when the list moved. Errors of `fetch` pass through.

    A listing that moves each time counts as complete once two readings in a row found the same ids
    (some VTNs give equal objects in changing order). That one of the `known` ids is missing from
    several pages is believed of two readings only: two changes at once can hide an object between pages.
    """
    earlier: set[str] | None = None
    limited: Text | None = None
    for _ in range(_PASSES):
        reading: _Pass[S] = _Pass()
        try:
            await reading.read(fetch)
        except LimitReached as error:
            # What was read counts; that something is missing means nothing.
            limited = error.what
            complete = False
            break
        complete = reading.steady
        if reading.pages > 1 and not reading.ids.issuperset(known):
            complete = False
        complete = (complete or reading.ids == earlier) and not reading.nameless
        if complete or reading.nameless:
            break
        earlier = reading.ids
    return Listing(
        tuple(reading.items),
        tuple(reading.refused),
        complete,
        frozenset(reading.ids),
        tuple(reading.ignored),
        limited,
    )


def _id(item: msgspec.Struct) -> str | None:
    id_: str | None = getattr(item, "id", None)
    return id_
