"""The expressions that SQLite and PostgreSQL need different words for.

Columns with JSON are text in both, and may hold invalid JSON: such a cell has no numbers, and stops no
query.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Float, Text, case, cast, func, literal, or_, text
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ColumnElement

from venclient.registry.folding import BARE, WRITTEN, bare, written
from venclient.registry.geometry import EARTH_RADIUS_KM

Expression = ColumnElement[Any]


class Words(Protocol):
    """Expressions over columns of the registry, in one database's words."""

    def number(self, column: Expression, name: str) -> Expression:
        """Return the number of a JSON object in a text column, null when it has none of that name."""
        ...

    def contains(self, column: Expression, word: str) -> Expression:
        """True where a text has a word in it, as `folding.contains` has it."""
        ...

    def cased(self, column: Expression) -> Expression:
        """Return text without case, to put it in order; by code points, whatever the database's language."""
        ...

    def exact(self, column: Expression) -> Expression:
        """Return text to put it in order by code points."""
        ...

    def km(self, latitude: Expression, longitude: Expression, point: tuple[float, float]) -> Expression:
        """Return the distance of a row's position from a point in km."""
        ...


def words_for(dialect: Dialect) -> Words:
    """Return the words of a database."""
    return PostgresWords() if dialect.name == "postgresql" else SqliteWords()


class SqliteWords:
    """SQLite with `sqlite_functions`."""

    def number(self, column: Expression, name: str) -> Expression:
        """Let SQLite read what is JSON; the rest goes through Python, which costs three times as much."""
        path = f'$."{name}"'
        kind = func.json_type(column, path)
        found = case((or_(kind == "integer", kind == "real"), func.json_extract(column, path)))
        return case((func.json_valid(column) == 1, found), else_=func.ven_number(column, name))

    def contains(self, column: Expression, word: str) -> Expression:
        """Ask `folding.contains`."""
        return func.ven_contains(column, word) == 1

    def cased(self, column: Expression) -> Expression:
        """Ask `folding.cased`."""
        return func.ven_cased(column)

    def exact(self, column: Expression) -> Expression:
        """Return the column: SQLite compares bytes."""
        return column

    def km(self, latitude: Expression, longitude: Expression, point: tuple[float, float]) -> Expression:
        """Ask `geometry.distance_km`: SQLite may be built without sines."""
        return func.ven_km(latitude, longitude, *point)


class PostgresWords:
    """PostgreSQL from 13 on, without extensions.

    Letters beyond the Latin ones lose their case only where the database's locale knows them.
    """

    def number(self, column: Expression, name: str) -> Expression:
        """Find the number by pattern: a cast to jsonb would fail the query at the first cell that is none."""
        pattern = rf'"{name}"\s*:\s*(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{{1,2}})?)\s*[,}}]'
        return cast(func.substring(column, cast(literal(pattern), Text)), Float)

    def contains(self, column: Expression, word: str) -> Expression:
        """Look for the folded word in the folded column, in either way of folding."""
        return or_(
            func.strpos(_folded(column, BARE), bare(word)) > 0,
            func.strpos(_folded(column, WRITTEN), written(word)) > 0,
        )

    def cased(self, column: Expression) -> Expression:
        """Return Latin letters in lower case by table: in the locale "C" `lower` knows ASCII only."""
        small = func.translate(func.normalize(column, text("NFKC")), _CAPITALS, _SMALL)
        return self.exact(func.lower(small))

    def exact(self, column: Expression) -> Expression:
        """Compare bytes, not in the order of the database's language."""
        return column.collate("C")

    def km(self, latitude: Expression, longitude: Expression, point: tuple[float, float]) -> Expression:
        """Return the haversine formula."""
        phi, other_phi = func.radians(latitude), func.radians(literal(point[0], Float))
        half_turn = func.radians(literal(point[1], Float) - longitude) / 2
        height = func.power(func.sin((other_phi - phi) / 2), 2)
        width = func.cos(phi) * func.cos(other_phi) * func.power(func.sin(half_turn), 2)
        sine = func.sqrt(height + width)
        # Rounding may take it above 1. `least` would pass over a null, and call the unknown far away.
        return literal(2 * EARTH_RADIUS_KM, Float) * func.asin(case((sine > 1.0, 1.0), else_=sine))


def _folded(column: Expression, table: Mapping[str, str]) -> Expression:
    found: Expression = func.normalize(column, text("NFKC"))
    singles = {letter: one for letter, one in table.items() if len(one) == 1}
    for letter, several in table.items():
        if len(several) > 1 and unicodedata.normalize("NFKC", letter) == letter:
            found = func.replace(found, letter, several)
    return func.lower(func.translate(found, "".join(singles), "".join(singles.values())))


_PAIRS = {
    letter: letter.lower()
    for letter in map(chr, (*range(0xC0, 0x250), *range(0x370, 0x530)))
    if letter.lower() != letter and len(letter.lower()) == 1
}
_CAPITALS, _SMALL = "".join(_PAIRS), "".join(_PAIRS.values())
