"""Quarantine: readings that no destination accepts, with the reason, for inspection.

    aside        one row for each place, series and kind of reason, with how often it was met
    aside_point  the first readings of each, to show them; later ones are only counted

The readings that InfluxDB refused are in the journal all the same; those whose time will never be known
are nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apsw

from venclient.readings.layout import one_value

#: The most readings of one series and reason that are stored one by one ...
MOST_POINTS = 1000
#: ... and the most kinds of reasons; beyond that the oldest are dropped.
MOST_KINDS = 1000


class Aside(NamedTuple):
    """Readings of one series that were quarantined at one place for one reason.

    `points` are (milliseconds since 1970, value) of the first of the `readings`.
    """

    place: str
    resource_id: str
    quantity: str
    reason: str
    readings: int
    points: tuple[tuple[int, float], ...] = ()


class Kept(NamedTuple):
    """One quarantine row; times in milliseconds since 1970, `points` are the first readings."""

    place: str
    resource_id: str
    quantity: str
    reason: str
    readings: int
    first_ms: int | None
    last_ms: int | None
    noted_ms: int
    points: list[tuple[int, float]]


def kind_of(reason: str) -> str:
    """Return a reason without its numbers, which differ from one reading to the next."""
    return "".join(sign for sign in reason if not sign.isdecimal())


def grouped(found: Iterable[Aside]) -> list[Aside]:
    """Return one Aside for each place, series and kind of reason; the last reason stands for its kind."""
    together: dict[tuple[str, str, str, str], Aside] = {}
    for one in found:
        key = (one.place, one.resource_id, one.quantity, kind_of(one.reason))
        known = together.get(key)
        if known is not None:
            points = (*known.points, *one.points)[:MOST_POINTS]
            one = one._replace(readings=known.readings + one.readings, points=points)  # noqa: PLW2901 - the sum
        together[key] = one
    return list(together.values())


class AsideTable:
    """The quarantine tables; for one thread at a time, SQLite's errors are raised as apsw.Error."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def keep(self, found: Sequence[Aside], now_ms: int) -> None:
        """Add to the stored rows, within the caller's transaction."""
        for one in grouped(found):
            series = (*one[:3], kind_of(one.reason))
            self._connection.execute(
                "INSERT INTO aside(place, resource_id, quantity, kind, reason, n, noted_ms)"
                " VALUES(?, ?, ?, ?, ?, 0, ?) ON CONFLICT(place, resource_id, quantity, kind)"
                " DO UPDATE SET reason = excluded.reason, noted_ms = excluded.noted_ms",
                (*series, one.reason, now_ms),
            )
            number = one_value(
                self._connection,
                "SELECT id FROM aside WHERE place = ? AND resource_id = ? AND quantity = ? AND kind = ?",
                series,
            )
            self._count(number, one)
        for (number,) in self._connection.execute(
            "SELECT id FROM aside ORDER BY noted_ms DESC, id DESC LIMIT -1 OFFSET ?", (MOST_KINDS,)
        ).fetchall():
            self._connection.execute("DELETE FROM aside_point WHERE aside = ?", (number,))
            self._connection.execute("DELETE FROM aside WHERE id = ?", (number,))

    def _count(self, number: int, one: Aside) -> None:
        """Add the readings to a row; while each is listed, repeated ones count once."""
        there = self._points(number)
        room = max(0, MOST_POINTS - there)
        self._connection.executemany(
            "INSERT OR REPLACE INTO aside_point VALUES(?, ?, ?)",
            [(number, *point) for point in one.points[:room]],
        )
        if one.readings == len(one.points) <= room:
            self._connection.execute(
                "UPDATE aside SET n = max(n, ?) WHERE id = ?", (self._points(number), number)
            )
        else:
            self._connection.execute("UPDATE aside SET n = n + ? WHERE id = ?", (one.readings, number))
        if one.points:
            times = [ms for ms, _ in one.points]
            self._connection.execute(
                "UPDATE aside SET first_ms = min(coalesce(first_ms, ?1), ?1),"
                " last_ms = max(coalesce(last_ms, ?2), ?2) WHERE id = ?3",
                (min(times), max(times), number),
            )

    def _points(self, number: int) -> int:
        return int(one_value(self._connection, "SELECT count(*) FROM aside_point WHERE aside = ?", (number,)))

    def rows(self, resource_id: str | None = None) -> Iterator[Kept]:
        """Yield the quarantine of one resource, or of all, the latest first."""
        chosen: list[Any] = self._connection.execute(
            "SELECT id, place, resource_id, quantity, reason, n, first_ms, last_ms, noted_ms FROM aside"
            " WHERE ? IS NULL OR resource_id = ? ORDER BY noted_ms DESC, id",
            (resource_id, resource_id),
        ).fetchall()
        for number, place, resource, quantity, reason, readings, first_ms, last_ms, noted_ms in chosen:
            points: list[Any] = self._connection.execute(
                "SELECT ms, value FROM aside_point WHERE aside = ? ORDER BY ms", (number,)
            ).fetchall()
            yield Kept(place, resource, quantity, reason, readings, first_ms, last_ms, noted_ms, points)
