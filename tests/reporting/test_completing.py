"""The last reading of an interval comes after its end: reports wait for it, or are corrected by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, T0, at, event
from venclient.completing import Completing
from venclient.errors import VtnUnreachable
from venclient.model.reading import Measure, Reading
from venclient.readings.measures import measures
from venclient.readings.memory import MemoryReadings
from venclient.reporting.builder import build_report
from venclient.reporting.differences import differences, said_by
from venclient.reporting.lateness import LateWatch

SECOND = timedelta(seconds=1)


class Meter:
    """A meter read every `every_s` from `phase_s` on; readings arrive `delay_s` after their time."""

    def __init__(self, every_s: float, phase_s: float, delay_s: float = 0.2) -> None:
        self.every_s, self.phase_s, self.delay_s = every_s, phase_s, delay_s
        self.silent_from: datetime | None = None

    def readings(self, id_: str, since: datetime, until: datetime) -> list[Reading]:
        """Return the readings that arrive in (since, until]; the power is another each time."""
        found: list[Reading] = []
        count = int((since - T0).total_seconds() / self.every_s) - 2
        while True:
            count += 1
            time = T0 + timedelta(seconds=self.phase_s + count * self.every_s)
            arrives = time + timedelta(seconds=self.delay_s)
            if arrives > until or (self.silent_from is not None and time >= self.silent_from):
                return found
            if arrives > since:
                found.append(Reading(id_, "power_kw", 5.0 + (count * 7 % 11) / 3, time))


class Site(Bench):
    """A bench whose meters are read as a gateway reads them, second by second."""

    def __init__(self, folder: Path) -> None:
        self.meters: dict[str, Meter] = {}
        self.store = MemoryReadings()
        self.completing = Completing(self.store.newest, self._is_read)
        self.taken_at: dict[str, datetime] = {}
        super().__init__(folder)
        self.measure = self._measure_stored

    def _open(self) -> None:
        super()._open()
        self.reporter._means.expecting = self.completing.expected
        self.watch = LateWatch(lambda: self.reporter.reported, lambda id_: self.store.newest(id_).values())

    def _is_read(self, id_: str) -> bool:
        silent_from = self.meters[id_].silent_from
        return silent_from is None or self.clock.now() < silent_from + timedelta(minutes=2)

    def serve(self, *meters: Meter) -> None:
        """Have these meters, r1 and so on."""
        self.meters = {f"r{n}": meter for n, meter in enumerate(meters, 1)}
        self.names = tuple(f"site {n}" for n in range(1, len(meters) + 1))
        self.restart()

    async def _measure_stored(
        self, ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return await measures(self.store, ids, grid)

    async def live(self, minutes: float) -> None:
        """Read the meters and report until `minutes` after the event's start."""
        until = T0 + timedelta(minutes=minutes)
        await self.reporter.step()  # events that are new wake the gateway
        while self.clock.now() < until:
            before = self.clock.now()
            await self.clock.advance(1.0, settle=0)
            now = self.clock.now()
            readings = [one for id_, meter in self.meters.items() for one in meter.readings(id_, before, now)]
            self.completing.hear(readings)
            late = self.watch.look(readings)
            if late:
                await self.reporter.late(late)
            self.store.add(readings)
            due = self.reporter.next_due()
            if due is not None and due <= now:
                await self.reporter.step()
            for report in self.vtn.stored:
                self.taken_at.setdefault(report.report_name or "", now)

    async def differing(self) -> list[str]:
        """Return the reports at the VTN that are not what the readings say now."""
        found = []
        for stored in self.vtn.stored:
            row = self.outbox.get(stored.report_name or "")
            assert row is not None
            assert row.resources is not None
            spans = [(span.start, span.end) for span in row.obligation.spans]
            known = await measures(self.store, [one.resource_id for one in row.resources], spans)
            now = build_report(row.obligation, row.resources, known, self.options)
            if not all(one.same for one in differences(said_by(stored), said_by(now.report))):
                found.append(row.key)
        return found

    def qualities(self) -> list[str]:
        """Return the quality of each value at the VTN."""
        return [one.quality for stored in self.vtn.stored for one in said_by(stored).values()]

    def delays_s(self) -> list[float]:
        """Return how long after its end each report was taken."""
        ends = {row.key: row.obligation.end for row in self.outbox.of_event("E1")}
        return [(self.taken_at[key] - ends[key]).total_seconds() for key in self.taken_at]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site with an event of quarters of an hour, before it begins."""
    one = Site(tmp_path)
    one.clock.step(55 * 60)
    yield one
    one.close()


def quarters(site: Site, count: int, minutes: int = 15) -> None:
    """Ask for a report on each of `count` intervals."""
    site.list_events(event(count, EACH, duration=f"PT{minutes}M"))


@pytest.mark.parametrize("minutes", [1, 15])
async def test_polled_meters_are_reported_whole(site: Site, minutes: int) -> None:
    """Every 10 s at any phase: each value is good and the final one, within the grace or corrected once."""
    site.serve(*(Meter(10.0, phase_s) for phase_s in (0.1, 2.5, 3.7, 6.3, 9.9)))
    quarters(site, 4, minutes)
    await site.live(4 * minutes + 3)

    assert len(site.vtn.stored) == 4
    assert set(site.qualities()) == {"OK"}
    assert await site.differing() == []
    assert site.vtn.puts <= 4


async def test_a_reading_within_the_grace_needs_no_correction(site: Site) -> None:
    """The report leaves as soon as the reading is there, and no later than the grace."""
    site.serve(Meter(10.0, 3.4))
    quarters(site, 4, 5)
    await site.live(24)

    assert site.vtn.puts == 0
    assert set(site.qualities()) == {"OK"}
    assert all(3.6 <= one <= 5.0 for one in site.delays_s())


async def test_mqtt_numbers_each_minute_are_reported_whole(site: Site) -> None:
    """Nothing is waited for that comes half a minute later; the report is corrected once it is there."""
    site.serve(*(Meter(60.0, phase_s) for phase_s in (11.0, 30.0, 48.0)))
    quarters(site, 4)
    await site.live(63)

    assert len(site.vtn.stored) == 4
    assert set(site.qualities()) == {"OK"}
    assert await site.differing() == []
    assert site.vtn.puts == 4
    assert all(one <= 3.0 for one in site.delays_s())


async def test_a_whole_report_leaves_at_once(site: Site) -> None:
    """A reading at the very end completes the interval: nothing is waited for, nothing corrected."""
    site.serve(Meter(10.0, 0.0), Meter(60.0, 0.0))
    quarters(site, 3)
    await site.live(48)

    assert site.vtn.puts == 0
    assert await site.differing() == []
    assert all(one <= 3.0 for one in site.delays_s())


async def test_a_silent_meter_is_not_waited_for(site: Site) -> None:
    """Reports with it leave when the others are complete."""
    silent = Meter(10.0, 3.4)
    silent.silent_from = T0 + timedelta(minutes=7)
    site.serve(silent, Meter(10.0, 0.0))
    quarters(site, 4)
    await site.live(63)

    first, *others = site.delays_s()
    assert others
    assert max([first, *others]) <= 3.0


async def test_a_report_never_waits_longer_than_its_interval(site: Site) -> None:
    """With intervals of two seconds each report is out before the next but one falls due."""
    site.serve(Meter(4.0, 3.9))
    site.list_events(event(30, EACH, duration="PT2S"))
    await site.live(3)

    assert len(site.vtn.stored) == 30
    assert max(site.delays_s()) <= 4.0


async def test_a_correction_that_is_due_survives_a_restart(site: Site) -> None:
    """What a report lacked is on the card with the report."""
    site.serve(Meter(60.0, 30.0))
    quarters(site, 2)
    await site.live(15.1)
    assert site.qualities() == ["ESTIMATED"]
    [row] = site.outbox.of_event("E1")
    assert row.late == ("r1",)
    site.restart()
    await site.live(17)

    assert site.qualities() == ["OK"]
    assert await site.differing() == []


async def test_a_correction_waits_for_a_vtn_that_is_down(site: Site) -> None:
    """It is made when the VTN is back, with all that was read until then."""
    site.serve(Meter(60.0, 30.0))
    quarters(site, 2)
    await site.live(15.2)
    site.vtn.put_faults = [("before", VtnUnreachable("down"))] * 2
    await site.live(29)

    assert site.qualities() == ["OK"]
    assert await site.differing() == []


async def test_a_reading_while_its_report_is_sent_is_not_lost(site: Site) -> None:
    """A late one that comes between building and the VTN's answer corrects the report."""
    site.serve(Meter(10.0, 0.0))
    quarters(site, 2)
    await site.live(15)
    create = site.vtn.create_report

    async def slow(report: object) -> object:
        late = [Reading("r1", "power_kw", 500.0, at(0.1) + SECOND)]
        found = site.watch.look(late)
        await site.reporter.late(found)
        site.store.add(late)
        site.vtn.create_report = create  # type: ignore[method-assign]
        return await create(report)  # type: ignore[arg-type]

    site.vtn.create_report = slow  # type: ignore[assignment, method-assign]
    await site.live(20)

    assert site.vtn.puts == 1
    assert await site.differing() == []


# ---- when a reading is expected


def heard(*seconds: float, is_read: bool = True) -> Completing:
    """Return what knows a meter with readings at these times, in seconds after T0."""
    store = MemoryReadings()
    known = Completing(store.newest, lambda _: is_read)
    for second in seconds:
        reading = Reading("r1", "power_kw", 1.0, T0 + second * SECOND)
        known.hear([reading])
        store.add([reading])
    return known


@pytest.mark.parametrize(
    ("seconds", "end_s", "now_s", "expected_s"),
    [
        ((35, 45, 55), 60, 62, 65),  # one spacing after the newest
        ((40, 50, 60), 60, 62, None),  # complete
        ((35, 45, 55), 60, 71, None),  # it should have come: not expected any more
        ((35, 45, 55), 60, 69, 65),  # a little late is on time
        ((55,), 60, 62, None),  # one reading says nothing about the next
        ((0, 3600), 3700, 3701, None),  # too far apart
        ((30, 90, 150), 160, 161, 210),
    ],
)
async def test_when_a_completing_reading_is_expected(
    seconds: tuple[float, ...], end_s: float, now_s: float, expected_s: float | None
) -> None:
    """One usual spacing after the newest reading, unless the interval is complete or the reading overdue."""
    found = heard(*seconds).expected(["r1"], T0 + end_s * SECOND, T0 + now_s * SECOND)

    assert found == ({} if expected_s is None else {"r1": T0 + expected_s * SECOND})


async def test_nothing_is_expected_of_a_source_that_is_not_read() -> None:
    """Silent, unreachable and file sources are not waited for; nor are unknown resources."""
    asked = T0 + 60 * SECOND, T0 + 62 * SECOND

    assert heard(35, 45, 55, is_read=False).expected(["r1"], *asked) == {}
    assert heard(35, 45, 55).expected(["r2"], *asked) == {}


async def test_the_newest_stored_reading_counts_after_a_restart() -> None:
    """The first reading after it shows the spacing; a long break shows none."""
    store = MemoryReadings()
    store.add([Reading("r1", "power_kw", 1.0, T0)])
    for second, expected in ((10.0, {"r1": T0 + 20 * SECOND}), (4000.0, {})):
        known = Completing(store.newest, lambda _: True)
        reading = Reading("r1", "power_kw", 1.0, T0 + second * SECOND)
        known.hear([reading])
        store.add([reading])
        end = T0 + (second + 5) * SECOND
        assert known.expected(["r1"], end, end) == expected


@pytest.mark.parametrize("count", [1, 4])
async def test_what_is_waited_for_is_asked_once_for_all_reports_of_a_moment(site: Site, count: int) -> None:
    """Many events on the same resources ask the meters as often as one does while they wait."""
    site.serve(Meter(10.0, 4.6))
    site.list_events(*(event(1, EACH, duration="PT15M", id_=f"E{n}") for n in range(count)))
    await site.live(15)
    asked = 0
    expected = site.completing.expected

    def counted(ids: Sequence[str], end: datetime, now: datetime) -> dict[str, datetime]:
        nonlocal asked
        asked += 1
        return expected(ids, end, now)

    site.reporter._means.expecting = counted
    while not site.vtn.stored:
        asked = 0
        await site.live((site.clock.now() - T0 + SECOND).total_seconds() / 60)
        if not site.vtn.stored:
            assert asked <= 2


async def test_a_forecast_is_not_waited_for(site: Site) -> None:
    """What is not measured in the interval leaves at once, beside a report that waits."""
    site.serve(Meter(10.0, 4.6))
    static = {"payloadType": "STORAGE_MAX_CHARGE_POWER", **EACH}
    site.list_events(event(1, EACH, duration="PT15M"), event(1, static, duration="PT15M", id_="E2"))
    await site.live(15 + 3 / 60)

    states = {id_: [row.state for row in site.outbox.of_event(id_)] for id_ in ("E1", "E2")}
    assert states["E2"] != states["E1"]
