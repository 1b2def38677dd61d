"""Distances and boxes on the globe; latitudes and longitudes are WGS 84 degrees. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The mean radius of the Earth (IUGG); distances on this sphere are right to about half a percent.
EARTH_RADIUS_KM = 6371.0088

# A prefilter must never lose a point to rounding.
_MARGIN = 1e-9


@dataclass(frozen=True, slots=True)
class Box:
    """An area between two parallels and two meridians, its edges included.

    `west` greater than `east` is a box across the 180th meridian, as in RFC 7946.
    """

    west: float
    south: float
    east: float
    north: float

    def ranges(self) -> tuple[tuple[float, float], ...]:
        """Return the longitudes as one or two ranges from a smaller to a greater number."""
        if self.west > self.east:
            return ((self.west, 180.0), (-180.0, self.east))
        return ((self.west, self.east),)


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the great-circle distance of two points in km, by the haversine formula."""
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half_turn = math.radians(other_longitude - longitude) / 2
    part = (
        math.sin((other_phi - phi) / 2) ** 2 + math.cos(phi) * math.cos(other_phi) * math.sin(half_turn) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(part)))


def box_around(latitude: float, longitude: float, km: float) -> Box:
    """Return a box that holds every point within `km`; around a pole that is every longitude."""
    angle = km / EARTH_RADIUS_KM * (1 + _MARGIN) + _MARGIN
    phi = math.radians(latitude)
    south, north = phi - angle, phi + angle
    if south <= -math.pi / 2 or north >= math.pi / 2:
        return Box(-180.0, max(-90.0, math.degrees(south)), 180.0, min(90.0, math.degrees(north)))
    reach = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(phi)))) + _MARGIN
    if reach >= 180:
        return Box(-180.0, math.degrees(south), 180.0, math.degrees(north))
    west, east = longitude - reach, longitude + reach
    return Box(
        west + 360 if west < -180 else west,
        math.degrees(south),
        east - 360 if east > 180 else east,
        math.degrees(north),
    )


def position(location: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return (latitude, longitude) of a resource's location, None when it does not hold a point."""
    found = [location.get(name) for name in ("latitude", "longitude")]
    degrees = [float(value) for value in found if type(value) is int or type(value) is float]
    return (degrees[0], degrees[1]) if len(degrees) == 2 else None
