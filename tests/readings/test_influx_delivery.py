"""What InfluxDB does not take: waited for, made smaller, or found, named and left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.influx import Point
from tests.readings.influx_bench import NOON, Bench, at
from venclient.messages import code_of
from venclient.model.reading import ENERGY_KWH
from venclient.readings.aside import MOST_POINTS
from venclient.readings.influx_answers import Verdict
from venclient.readings.tables import open_tables


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Yield an empty bench."""
    made = Bench(tmp_path)
    yield made
    await made.journal.close()


async def test_retry_after_is_respected(bench: Bench) -> None:
    """429 with a time: not a single request before it is over."""
    bench.influx.script.append(Verdict("later", "too many requests", retry_after_s=300))
    await bench.put(at(0))
    await bench.turn(299)
    assert bench.influx.attempts == 1

    await bench.turn(2)
    assert bench.influx.values("hotel") == [1]


async def test_too_large_is_sent_in_smaller_parts(bench: Bench) -> None:
    """413: fewer lines at once from now on, all of them delivered."""
    bench.influx.refuse = lambda points: Verdict("too large", "413") if len(points) > 8 else None
    await bench.put(*[at(n, n) for n in range(50)])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(50))
    assert max(bench.influx.writes) <= 8


async def test_version_1_gets_its_database_made(bench: Bench) -> None:
    """ "database not found" is answered by making it, once."""
    bench.influx.script.append(Verdict("no database", 'database not found: "meter_data"'))
    await bench.put(at(0))
    await bench.forwarder.drain()

    assert (bench.influx.databases, bench.influx.values("hotel")) == (1, [1])


def conflict(points: list[Point]) -> Verdict | None:
    """Refuse as version 1 does when "energy_kwh" is an integer there: other points are written."""
    bad = [point for point in points if "energy_kwh" in point[2]]
    if not bad:
        return None
    text = 'partial write: field type conflict: input field "energy_kwh" is type float'
    return Verdict("refused", text, dropped=len(bad), culprit="energy_kwh")


async def test_a_quantity_that_influxdb_refuses_costs_only_itself(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A type conflict of one field: the other quantities of the same moments arrive; it is named once."""
    bench.influx.refuse = conflict
    await bench.put(*[r for n in range(40) for r in (at(n, n), at(n, n, quantity=ENERGY_KWH))])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(40))
    assert bench.influx.attempts <= 4
    status = bench.forwarder.status()
    assert (status["rejected"], status["sent"], status["state"]) == (40, 40, "ok")
    assert "hotel energy_kwh of 2026-03-01T12:00:" in status["last_rejects"][-1]
    assert [one.getMessage() for one in caplog.records if "hotel energy_kwh" in one.getMessage()][1:] == []


async def test_what_is_refused_is_set_aside_with_its_reason(bench: Bench) -> None:
    """Each refused reading, and each name that cannot be written, can be looked at; and counts once."""
    bench.influx.refuse = conflict
    await bench.put(*[r for n in range(40) for r in (at(n, n), at(n, n, quantity=ENERGY_KWH))])
    await bench.put(at(0, 2, quantity="time"))
    await bench.forwarder.drain()
    await bench.again()
    await bench.forwarder.drain()
    await bench.journal.flush()

    tables = open_tables(bench.path, read_only=True)
    found = {(one.resource_id, one.quantity): one for one in tables.aside.rows()}
    tables.close()
    refused = found["hotel", ENERGY_KWH]
    assert (refused.place, refused.readings) == ("influxdb", 40)
    assert "field type conflict" in refused.reason
    assert refused.points == [(int(NOON.timestamp() * 1000) + 1000 * n, n) for n in range(40)]
    assert "reserved in InfluxDB" in found["hotel", "time"].reason
    assert set(found) == {("hotel", ENERGY_KWH), ("hotel", "time")}


async def test_no_more_than_a_bound_is_set_aside_one_by_one(bench: Bench) -> None:
    """Of a series that is refused for ever the first readings are kept, the others counted."""
    bench.influx.refuse = conflict
    await bench.put(*[at(n, n, quantity=ENERGY_KWH) for n in range(MOST_POINTS + 500)])
    await bench.forwarder.drain()
    await bench.journal.flush()

    tables = open_tables(bench.path, read_only=True)
    [kept] = tables.aside.rows("hotel")
    tables.close()
    assert (kept.readings, len(kept.points)) == (MOST_POINTS + 500, MOST_POINTS)


@pytest.mark.parametrize("hint", [None, 13])
async def test_one_bad_point_among_many_is_found(bench: Bench, hint: int | None) -> None:
    """With the line's number (version 3), or without a word on it (version 2), only it is left out."""

    def refuse(points: list[Point]) -> Verdict | None:
        bad = [n for n, point in enumerate(points) if point[2].get("power_kw") == 13]
        if not bad:
            return None
        if hint is not None:
            for _, tags, fields, ms in points:
                if fields["power_kw"] != 13:
                    bench.influx.points[tags["resource_id"], ms] = dict(fields)
            return Verdict("refused", "partial write", bad_lines={bad[0]: "no good"})
        return Verdict("refused", "unable to parse")

    bench.influx.refuse = refuse
    await bench.put(*[at(n, n) for n in range(100)])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [n for n in range(100) if n != 13]
    assert bench.forwarder.status()["rejected"] == 1
    assert bench.forwarder.status()["sent"] == 99


async def test_points_beyond_retention_are_set_aside_together(bench: Bench) -> None:
    """A backlog that InfluxDB keeps no more is not asked about point by point."""

    def refuse(points: list[Point]) -> Verdict | None:
        old = [point for point in points if point[3] < (NOON + timedelta(seconds=600)).timestamp() * 1000]
        text = "partial write: points beyond retention policy"
        return Verdict("refused", text, dropped=len(old)) if old else None

    bench.influx.refuse = refuse
    await bench.put(*[at(n, n) for n in range(1000)])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(600, 1000))
    assert bench.forwarder.status()["rejected"] == 600
    assert bench.influx.attempts < 60


async def test_old_points_are_found_without_their_number(bench: Bench) -> None:
    """A server that only says why: the youngest of them is looked for, and the older are not asked about."""
    bound = int((NOON + timedelta(seconds=600)).timestamp() * 1000)

    def refuse(points: list[Point]) -> Verdict | None:
        old = [point for point in points if point[3] < bound]
        return Verdict("refused", "beyond retention policy", too_old=True) if old else None

    bench.influx.refuse = refuse
    await bench.put(*[at(n, n) for n in range(1000)])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(600, 1000))
    assert bench.forwarder.status()["rejected"] == 600
    assert bench.influx.attempts < 30


async def test_a_series_that_is_refused_as_a_whole_is_found_quickly(bench: Bench) -> None:
    """A limit on the number of series: readings of the others, of the same moments, arrive."""

    def refuse(points: list[Point]) -> Verdict | None:
        bad = [point for point in points if point[1]["resource_id"] == "bar"]
        text = "partial write: max-values-per-tag limit exceeded (100000/100000)"
        return Verdict("refused", text, dropped=len(bad)) if bad else None

    bench.influx.refuse = refuse
    await bench.put(*[at(n, n, name) for n in range(1000) for name in ("hotel", "bar")])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(1000))
    assert (bench.forwarder.status()["rejected"], bench.influx.values("bar")) == (1000, [])
    assert bench.influx.attempts <= 10


async def test_readings_that_were_too_old_are_asked_about_again_after_an_hour(bench: Bench) -> None:
    """The operator gave the bucket a longer retention."""
    bench.influx.keeps = timedelta(hours=1)
    await bench.put(at(-7200, 1), at(0, 2))
    await bench.forwarder.drain()
    bench.influx.keeps = None
    await bench.put(at(-7300, 3))
    await bench.forwarder.drain()
    assert bench.influx.values("hotel") == [2]

    await bench.clock.advance(3601)
    await bench.put(at(-7250, 4))
    await bench.forwarder.drain()
    assert bench.influx.values("hotel") == [4, 2]


async def test_old_readings_are_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Not for each series, request or hour."""
    bench.influx.keeps = timedelta(hours=1)
    for n in range(5):
        await bench.put(at(-7200 + n, 1), at(-7200 + n, 1, "bar"))
        await bench.forwarder.drain()
        await bench.clock.advance(3601)

    assert [code_of(one.msg) for one in caplog.records] == ["VEN-INF-039"]


async def test_a_name_that_cannot_be_written_stops_nothing_else(bench: Bench) -> None:
    """A quantity called "time" is named, counted and left out."""
    await bench.put(at(0, 1), at(0, 2, quantity="time"))
    await bench.forwarder.drain()

    assert bench.influx.at("hotel", NOON) == {"power_kw": 1}
    assert "hotel time" in bench.forwarder.status()["last_rejects"][0]
