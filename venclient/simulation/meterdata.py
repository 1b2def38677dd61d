"""Invented meter data with the shape of real days: 15-minute values per kind of site, the same for a seed.

Stamps are UTC and end their interval, power is the interval's mean, registers only count up. Signs count
from the grid's side: a PV plant's power is negative and its energy stands in the export register.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TextIO
from zoneinfo import ZoneInfo

from venclient.messages import simulation as sim

STEP = timedelta(minutes=15)
STEPS_PER_DAY = 96

#: What the committed example files are made with.
EXAMPLE_START = date(2026, 6, 1)
EXAMPLE_DAYS = 7
EXAMPLE_SEED = 2026
DENMARK = (56.14, 8.97)

_STEP_H = 0.25
_BEYOND_PEAK = 1.1
_WEEKEND = 5


@dataclass(frozen=True)
class MeterRow:
    """One quarter of an hour: mean power in kW, and import and export registers in kWh at its end (UTC)."""

    time: datetime
    power_kw: float
    energy_kwh: float
    energy_export_kwh: float


@dataclass(frozen=True)
class Shape:
    """A day of a kind of site: peak in kW, and its share by local hour on weekdays and at the weekend."""

    peak_kw: float
    weekday: tuple[float, ...]
    weekend: tuple[float, ...]
    noise: float = 0.06


def _hours(*bands: tuple[int, int, float], base: float) -> tuple[float, ...]:
    """Return 24 shares: `base`, and in each band [from, to) its own."""
    shares = [base] * 24
    for first, beyond, share in bands:
        shares[first:beyond] = [share] * (beyond - first)
    return tuple(shares)


_SHOP = _hours((8, 9, 0.55), (9, 18, 0.9), (18, 20, 0.5), base=0.22)

SHAPES: Mapping[str, Shape] = {
    "bakeries": Shape(
        20.0,
        _hours((2, 4, 0.75), (4, 8, 0.95), (8, 14, 0.55), (14, 18, 0.4), base=0.2),
        _hours((1, 4, 0.85), (4, 9, 1.0), (9, 15, 0.5), base=0.2),
    ),
    "bars": Shape(
        18.0,
        _hours((0, 1, 0.5), (15, 18, 0.5), (18, 24, 0.85), base=0.18),
        _hours((0, 4, 0.95), (14, 18, 0.6), (18, 24, 1.0), base=0.2),
    ),
    "hotels": Shape(
        40.0,
        _hours((6, 10, 0.9), (10, 17, 0.55), (17, 22, 0.85), (22, 24, 0.5), base=0.35),
        _hours((7, 11, 1.0), (11, 17, 0.6), (17, 23, 0.9), (23, 24, 0.5), base=0.38),
    ),
    "industry": Shape(
        80.0,
        _hours((5, 6, 0.5), (6, 15, 0.95), (15, 22, 0.7), base=0.25),
        _hours((6, 14, 0.35), base=0.2),
        0.04,
    ),
    "restaurants": Shape(
        20.0,
        _hours((10, 14, 0.75), (14, 17, 0.45), (17, 22, 0.95), (22, 23, 0.5), base=0.2),
        _hours((10, 15, 0.85), (15, 17, 0.6), (17, 23, 1.0), base=0.22),
    ),
    "schools": Shape(
        80.0,
        _hours((6, 7, 0.4), (7, 14, 0.9), (14, 17, 0.5), (17, 20, 0.25), base=0.12),
        _hours((9, 15, 0.16), base=0.12),
    ),
    "swimmingpools": Shape(
        42.0,
        _hours((5, 7, 0.75), (7, 20, 0.9), (20, 22, 0.7), base=0.55),
        _hours((7, 9, 0.75), (9, 17, 1.0), base=0.55),
        0.04,
    ),
    "other": Shape(18.0, _SHOP, _hours((10, 15, 0.6), base=0.2)),
}

PV_PEAK_KW = 10.0
CHARGER_KW = 22.0
KINDS = (*sorted((*SHAPES, "chargingstations", "pv")),)

#: Chance that a car arrives in an hour, by local hour, at a free charging point.
_ARRIVALS = _hours((7, 9, 0.5), (9, 16, 0.3), (16, 20, 0.55), (20, 23, 0.2), base=0.03)
_CAR_KW = (7.4, 11.0, 11.0, 22.0)


def generate(
    kind: str,
    start: date = EXAMPLE_START,
    days: int = EXAMPLE_DAYS,
    *,
    seed: int = EXAMPLE_SEED,
    latitude: float = DENMARK[0],
    longitude: float = DENMARK[1],
    zone: ZoneInfo | None = None,
) -> Iterator[MeterRow]:
    """Return the rows of `days` local days from `start`, oldest first.

    Local days of a clock change have 92 or 100 rows. ValueError for a kind that is not in `KINDS`.
    """
    zone = zone or ZoneInfo("Europe/Copenhagen")
    # each kind draws from its own stream: a new kind leaves the others as they were
    rng = random.Random(f"{seed}/{kind}")
    first = datetime.combine(start, time(), zone).astimezone(UTC)
    last = datetime.combine(start + timedelta(days=days), time(), zone).astimezone(UTC)
    steps = [first + STEP * n for n in range(round((last - first) / STEP))]
    if kind == "pv":
        powers = _pv(steps, rng, latitude, longitude)
    elif kind == "chargingstations":
        powers = _charging(steps, rng, zone)
    elif kind in SHAPES:
        powers = _shaped(steps, rng, zone, SHAPES[kind])
    else:
        raise ValueError(sim.UNKNOWN_KIND(kind=kind, known=KINDS))
    register_wh = rng.randrange(10_000_000, 90_000_000)
    export_wh = rng.randrange(1_000_000, 9_000_000) if kind == "pv" else 0
    for begin, power_kw in zip(steps, powers, strict=True):
        # whole watt-hours first: power and registers then agree to the last digit
        energy_wh = round(power_kw * _STEP_H * 1000)
        register_wh += max(energy_wh, 0)
        export_wh += max(-energy_wh, 0)
        yield MeterRow(begin + STEP, energy_wh / 1000 / _STEP_H, register_wh / 1000, export_wh / 1000)


def sun_elevation(at: datetime, latitude: float, longitude: float) -> float:
    """Return the sun's height above the horizon in degrees (negative at night), good to about half a degree.

    Declination and equation of time by the usual harmonic approximations; no refraction.
    """
    utc = at.astimezone(UTC)
    hours = utc.hour + utc.minute / 60 + utc.second / 3600
    angle = 2 * math.pi * (utc.timetuple().tm_yday - 1 + (hours - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * math.cos(angle)
        + 0.070257 * math.sin(angle)
        - 0.006758 * math.cos(2 * angle)
        + 0.000907 * math.sin(2 * angle)
    )
    equation_min = 229.18 * (
        0.000075
        + 0.001868 * math.cos(angle)
        - 0.032077 * math.sin(angle)
        - 0.014615 * math.cos(2 * angle)
        - 0.040849 * math.sin(2 * angle)
    )
    hour_angle = math.radians((hours * 60 + equation_min + 4 * longitude) / 4 - 180)
    phi = math.radians(latitude)
    sine = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(
        hour_angle
    )
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def write_csv(rows: Iterable[MeterRow], stream: TextIO, *, export: bool = False) -> int:
    """Write rows as "time;power_kw;energy_kwh" (ISO times in UTC); `export` adds the export register."""
    names = ["time", "power_kw", "energy_kwh", *(["energy_export_kwh"] if export else [])]
    stream.write(";".join(names) + "\n")
    count = 0
    for row in rows:
        cells = [f"{row.time:%Y-%m-%dT%H:%M:%SZ}", f"{row.power_kw:.3f}", f"{row.energy_kwh:.3f}"]
        if export:
            cells.append(f"{row.energy_export_kwh:.3f}")
        stream.write(";".join(cells) + "\n")
        count += 1
    return count


def _shaped(steps: list[datetime], rng: random.Random, zone: ZoneInfo, shape: Shape) -> Iterator[float]:
    drift = 0.0
    for begin in steps:
        local = begin.astimezone(zone)
        shares = shape.weekend if local.weekday() >= _WEEKEND else shape.weekday
        # one hour's share passes into the next, as doors open and ovens warm up
        into = local.minute / 60
        share = shares[local.hour] * (1 - into) + shares[(local.hour + 1) % 24] * into
        drift = 0.8 * drift + rng.gauss(0, shape.noise)
        yield shape.peak_kw * min(_BEYOND_PEAK, max(0.05, share * (1 + drift)))


def _pv(steps: list[datetime], rng: random.Random, latitude: float, longitude: float) -> Iterator[float]:
    sky = 0.8
    passing = 0.0
    for number, begin in enumerate(steps):
        if number % STEPS_PER_DAY == 0:
            sky = rng.uniform(0.35, 1.0)
        passing = 0.85 * passing + rng.gauss(0, 0.08 * (1.2 - sky))
        elevation = sun_elevation(begin + STEP / 2, latitude, longitude)
        clear = max(0.0, math.sin(math.radians(elevation))) ** 1.15
        yield -PV_PEAK_KW * clear * min(1.0, max(0.05, sky + passing))


def _charging(steps: list[datetime], rng: random.Random, zone: ZoneInfo) -> Iterator[float]:
    """Return the mean power of one charging point: cars come, take what they need, and go."""
    power_kw = needed_kwh = 0.0
    for begin in steps:
        taken_kwh = 0.0
        share = _ARRIVALS[begin.astimezone(zone).hour]
        if needed_kwh <= 0 and rng.random() < share * _STEP_H * 2:
            power_kw, needed_kwh = rng.choice(_CAR_KW), rng.uniform(6, 48)
        if needed_kwh > 0:
            taken_kwh = min(needed_kwh, power_kw * _STEP_H)
            needed_kwh -= taken_kwh
        yield taken_kwh / _STEP_H
