"""Functions that SQLite lacks for queries, registered with each connection."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from venclient.registry.folding import cased, contains
from venclient.registry.geometry import distance_km


def register(driver: sqlite3.Connection) -> None:
    """Register the functions that `words.SqliteWords` uses."""
    for name, arguments, function in (
        ("ven_contains", 2, contains),
        ("ven_cased", 1, _cased),
        ("ven_km", 4, _km),
        ("ven_number", 2, _number),
    ):
        driver.create_function(name, arguments, function, deterministic=True)


def _cased(text: Any) -> Any:
    return cased(text) if isinstance(text, str) else text


def _km(*degrees: float | None) -> float | None:
    latitude, longitude, other_latitude, other_longitude = degrees
    if latitude is None or longitude is None or other_latitude is None or other_longitude is None:
        return None
    return distance_km(latitude, longitude, other_latitude, other_longitude)


def _number(text: Any, name: str) -> int | float | None:
    """Return a number from JSON as the first generation wrote it, with NaN for an unknown value."""
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, TypeError, RecursionError):
        return None
    found = value.get(name) if isinstance(value, dict) else None
    return found if type(found) in (int, float) else None
