"""Readings as InfluxDB's line protocol: one line per resource and moment; pure.

    meter_reading,meter_point_id=57,resource_id=hotel,ven=Herning power_kw=12.5,energy_kwh=7.0 1772366400000

A quality other than good stands beside its value, as the text field `<quantity>_quality`. Times are in
milliseconds. Names that the protocol has no way to write are refused, never bent into another name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from venclient.messages import influx as inf
from venclient.model.reading import Quality, Reading
from venclient.readings.series import to_ms

MEASUREMENT = "meter_reading"
QUALITY_SUFFIX = "_quality"
TAG_NAMES = ("meter_point_id", "resource_id", "ven")
#: InfluxDB's own column, and our tags: a field of such a name could not be asked for.
RESERVED = frozenset({"time", *TAG_NAMES})
LONGEST_NAME = 4096

_SPECIAL = re.compile(r"([,= ])")
# A backslash before a comma, an equals sign, a space or the end would escape what separates the parts.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f]|\\(?=[,= ]|$)")


class Tags(NamedTuple):
    """What is written beside a resource's readings; empty ones are left out."""

    meter_point_id: str = ""
    ven: str = ""


class Field(NamedTuple):
    """One reading as it stands in a line."""

    text: str
    reading: Reading


class Line(NamedTuple):
    """One resource at one moment."""

    head: str
    fields: tuple[Field, ...]
    ms: int

    @property
    def text(self) -> str:
        """The line as it is sent."""
        return f"{self.head} {','.join(field.text for field in self.fields)} {self.ms}"


def name_refusal(name: str) -> str | None:
    """Return why a name cannot be written as tag or field, or None when it can."""
    if not name:
        return inf.EMPTY_NAME()
    if len(name) > LONGEST_NAME:
        return inf.LONG_NAME(length=len(name))
    if _UNWRITABLE.search(name):
        return inf.UNWRITABLE_NAME()
    return None


def refusal(reading: Reading) -> str | None:
    """Return why a reading of a store cannot be written as a line, or None when it can."""
    if reading.quantity in RESERVED:
        return inf.RESERVED_NAME(quantity=repr(reading.quantity))
    return name_refusal(reading.resource_id) or name_refusal(reading.quantity)


def escaped(name: str) -> str:
    """Return a name that `name_refusal` allows, escaped for a line."""
    return _SPECIAL.sub(r"\\\1", name)


def series_of(resource_id: str, tags: Tags) -> str:
    """Return the head of a resource's lines; what cannot be written in the lesser tags becomes "_"."""
    values = {"resource_id": resource_id, **tags._asdict()}
    parts = [MEASUREMENT]
    for name in TAG_NAMES:
        value = values[name] if name == "resource_id" else _UNWRITABLE.sub("_", values[name][:LONGEST_NAME])
        if value:
            parts.append(f"{name}={escaped(value)}")
    return ",".join(parts)


def lines(
    readings: Iterable[Reading],
    tags: Mapping[str, Tags],
    *,
    graded_until_ms: Mapping[str, int] | None = None,
) -> list[Line]:
    """Return the lines of readings that `refusal` allows, in time order, one per resource and moment.

    The later of two readings of one quantity at one moment wins. Up to the moment that `graded_until_ms`
    has for a resource, the quality is written also when it is good, to replace another that InfluxDB may
    hold already.
    """
    graded = graded_until_ms or {}
    points: dict[tuple[int, str], dict[str, Reading]] = {}
    for reading in readings:
        points.setdefault((to_ms(reading.time), reading.resource_id), {})[reading.quantity] = reading
    heads: dict[str, str] = {}
    found = []
    for (ms, resource_id), fields in sorted(points.items()):
        head = heads.get(resource_id)
        if head is None:
            head = heads[resource_id] = series_of(resource_id, tags.get(resource_id, Tags()))
        every_quality = ms <= graded.get(resource_id, -1)
        made = []
        for quantity, reading in fields.items():
            name = escaped(quantity)
            text = f"{name}={float(reading.value)!r}"
            if every_quality or reading.quality is not Quality.GOOD:
                text += f',{name}{QUALITY_SUFFIX}="{reading.quality.value}"'
            made.append(Field(text, reading))
        found.append(Line(head, tuple(made), ms))
    return found


def body(some: Sequence[Line]) -> bytes:
    """Return lines as the body of a request."""
    return "\n".join(line.text for line in some).encode()
