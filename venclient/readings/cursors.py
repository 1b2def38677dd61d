"""How far each resource is on its way to each InfluxDB, on the card: bookmarks of the journal.

    influxdb:destinations          the keys of the destinations that readings were sent to, the last used last
    influxdb:KEY:RESOURCE          position and newest ever sent, in milliseconds, of a resource there
    influx:RESOURCE                the same in earlier versions; taken over once

A destination is a server's address, organisation and bucket. One that was used before goes on where it was;
a new one starts with the journal's oldest readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

PREFIX = "influxdb:"
DESTINATIONS = "influxdb:destinations"
OLD_PREFIX = "influx:"
#: So many destinations are remembered; one that is forgotten gets the whole journal when it is used again.
MOST_DESTINATIONS = 8


class Bookmarks(Protocol):
    """Where bookmarks are kept; a journal is one."""

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark last committed or added under `key`."""
        ...


class Cursor(NamedTuple):
    """What is up to `position` was sent; nothing newer than `sent` ever was. Milliseconds since 1970."""

    position: int
    sent: int


class Cursors:
    """The cursors of one destination, and what late readings do to those of all of them."""

    def __init__(self, bookmarks: Bookmarks, destination: str) -> None:
        self._bookmarks = bookmarks
        self._destination = destination

    def get(self, resource_id: str) -> Cursor | None:
        """Return a resource's cursor; None when nothing of it was ever sent."""
        return self._get(self._destination, resource_id)

    def text(self, resource_id: str, position: int, sent: int) -> dict[str, str]:
        """Return a cursor as the bookmark to be committed."""
        return {_key(self._destination, resource_id): f"{position} {sent}"}

    def moved_back(self, oldest: Mapping[str, int]) -> dict[str, str]:
        """Return the bookmarks that readings as old as these change: each destination needs them.

        `oldest` has the first millisecond by resource.
        """
        return moved_back(self._bookmarks, oldest)

    @property
    def moved(self) -> bool:
        """Whether another destination was in use before."""
        return len(destinations(self._bookmarks)) > 1

    def taken_over(self, resource_ids: Iterable[str]) -> dict[str, str]:
        """Return the bookmarks that make this destination the current one; empty when it is already.

        The first destination of all takes over the cursors of earlier versions.
        """
        text = self._bookmarks.bookmark(DESTINATIONS) or ""
        if text == self._destination or text.endswith(f" {self._destination}"):
            return {}
        known = text.split()
        noted: dict[str, str] = {}
        left = [one for one in known if one != self._destination]
        for forgotten in left[: max(0, len(left) + 1 - MOST_DESTINATIONS)]:
            noted |= {_key(forgotten, id_): "" for id_ in resource_ids if self._get(forgotten, id_)}
        noted[DESTINATIONS] = " ".join([*left, self._destination][-MOST_DESTINATIONS:])
        if not known:
            for id_ in resource_ids:
                old = self._bookmarks.bookmark(OLD_PREFIX + id_)
                if _parsed(old) is not None:
                    noted |= {_key(self._destination, id_): old or "", OLD_PREFIX + id_: ""}
        return noted

    def _get(self, destination: str, resource_id: str) -> Cursor | None:
        return _parsed(self._bookmarks.bookmark(_key(destination, resource_id)))


def destinations(bookmarks: Bookmarks) -> list[str]:
    """Return the keys of the destinations that are remembered, the last used last."""
    return (bookmarks.bookmark(DESTINATIONS) or "").split()


def moved_back(bookmarks: Bookmarks, oldest: Mapping[str, int]) -> dict[str, str]:
    """Return the bookmarks of all destinations that readings as old as these change."""
    noted: dict[str, str] = {}
    for destination in destinations(bookmarks):
        for id_, ms in oldest.items():
            key = _key(destination, id_)
            known = _parsed(bookmarks.bookmark(key))
            if known is not None and ms <= known.position:
                noted[key] = f"{ms - 1} {known.sent}"
    return noted


def _key(destination: str, resource_id: str) -> str:
    return f"{PREFIX}{destination}:{resource_id}"


def _parsed(text: str | None) -> Cursor | None:
    try:
        position, sent = map(int, (text or "").split())
    except ValueError:
        return None
    return Cursor(position, sent)
