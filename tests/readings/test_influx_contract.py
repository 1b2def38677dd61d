"""The contract of an InfluxDB 2, with the one in memory; tests/interop has it with a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.influx import MemoryInflux
from tests.readings.influx_contract import InfluxContract, Site
from venclient.readings.series import to_ms


class MemoryPeer:
    """Buckets in memory."""

    def __init__(self) -> None:
        self._buckets: dict[str, MemoryInflux] = {}

    def make(self, bucket: str, keeps: timedelta | None = None) -> MemoryInflux:
        """Make a bucket."""
        self._buckets[bucket] = MemoryInflux(bucket, keeps)
        return self._buckets[bucket]

    def open(self, bucket: str) -> MemoryInflux:
        """Return a bucket that was made."""
        return self._buckets[bucket]

    def points(self, bucket: str, resource_id: str) -> dict[int, float]:
        """Return what is in a bucket of one resource's power."""
        points = self._buckets[bucket].points
        return {ms: fields["power_kw"] for (id_, ms), fields in points.items() if id_ == resource_id}

    def delete(self, bucket: str, start: datetime, end: datetime) -> None:
        """Delete a stretch of time."""
        points = self._buckets[bucket].points
        for key in [key for key in points if to_ms(start) <= key[1] < to_ms(end)]:
            del points[key]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Return a site with nothing in its journal."""
    made = Site(tmp_path)
    yield made
    await made.journal.close()


class TestInMemory(InfluxContract):
    """The stand-in does what a real server does."""

    @pytest.fixture
    def peer(self) -> MemoryPeer:
        """Return buckets in memory."""
        return MemoryPeer()
