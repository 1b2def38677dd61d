"""Generated meter data: shapes, registers, the sun, and the committed files."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from tests.codes import raises_code
from venclient.errors import ConfigError
from venclient.registry.kinds import METERED_KINDS
from venclient.simulation.meterdata import KINDS, MeterRow, generate, sun_elevation, write_csv

ZONE = ZoneInfo("Europe/Copenhagen")


def run(*words: str, fails: bool = False) -> str:
    """Run `ven simulate meterdata` with these words and give its output."""
    from venclient.cli.meterdata import meterdata

    app = Typer()
    app.command()(meterdata)
    result = CliRunner().invoke(app, words, catch_exceptions=not fails)
    assert fails or result.exit_code == 0, result.output
    return result.stdout


def mean_kw(rows: list[MeterRow], *, weekend: bool, hours: range) -> float:
    """Return the mean power of the quarters that begin in these local hours."""
    local = [(row, (row.time - timedelta(minutes=15)).astimezone(ZONE)) for row in rows]
    powers = [row.power_kw for row, at in local if (at.weekday() >= 5) == weekend and at.hour in hours]
    return sum(powers) / len(powers)


def test_the_committed_files_are_what_the_generator_makes(root: Path, tmp_path: Path) -> None:
    """Running the command again with its defaults gives the example files, byte for byte."""
    run("--out", str(tmp_path))
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in (root / "config/examplemeterdata").iterdir()}
    assert made == committed


def test_every_kind_of_sample_has_a_meter_file() -> None:
    """The registry's samples point to files that the generator makes."""
    assert {*METERED_KINDS, "other"} == set(KINDS)


@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.dates(date(2020, 1, 1), date(2035, 1, 1)))
@settings(max_examples=25, deadline=None)
def test_power_and_registers_agree(kind: str, seed: int, start: date) -> None:
    """Every quarter's energy is its power, registers never fall, and stamps are 15 minutes apart."""
    rows = list(generate(kind, start, 1, seed=seed))
    assert len(rows) in (92, 96, 100)
    for before, row in pairwise(rows):
        drawn, fed = row.energy_kwh - before.energy_kwh, row.energy_export_kwh - before.energy_export_kwh
        assert drawn >= 0
        assert fed >= 0
        assert drawn - fed == pytest.approx(row.power_kw / 4, abs=1e-6)
        assert row.time - before.time == timedelta(minutes=15)
        assert row.time.tzinfo is UTC


def test_the_same_seed_gives_the_same_data() -> None:
    """A seed is a repeatable draw, another seed another."""
    assert list(generate("bars", seed=1)) == list(generate("bars", seed=1))
    assert list(generate("bars", seed=1)) != list(generate("bars", seed=2))


def test_days_have_the_shape_of_their_kind() -> None:
    """Schools rest at weekends and at night, bars are lively at night, bakeries before dawn."""
    schools, bars, bakeries = (list(generate(kind, days=28)) for kind in ("schools", "bars", "bakeries"))
    assert mean_kw(schools, weekend=False, hours=range(8, 14)) > 4 * mean_kw(
        schools, weekend=True, hours=range(8, 14)
    )
    assert mean_kw(schools, weekend=False, hours=range(8, 14)) > 4 * mean_kw(
        schools, weekend=False, hours=range(4)
    )
    assert mean_kw(bars, weekend=True, hours=range(20, 24)) > 2 * mean_kw(
        bars, weekend=True, hours=range(8, 12)
    )
    assert mean_kw(bakeries, weekend=False, hours=range(4, 8)) > 2 * mean_kw(
        bakeries, weekend=False, hours=range(20, 24)
    )


def test_pv_follows_the_sun() -> None:
    """Nothing at night, feed-in (negative) by day, more in June than in December."""
    june = list(generate("pv", date(2026, 6, 1), 14))
    december = list(generate("pv", date(2026, 12, 1), 14))
    for row in june:
        if sun_elevation(row.time - timedelta(minutes=7.5), 56.14, 8.97) < 0:
            assert row.power_kw == 0
        assert row.power_kw <= 0
    assert sum(row.power_kw for row in june) < 5 * sum(row.power_kw for row in december) < 0


@pytest.mark.parametrize(
    ("at", "latitude", "longitude", "degrees"),
    [
        (datetime(2026, 3, 20, 12, 7, tzinfo=UTC), 0.0, 0.0, 90.0),  # equinox, overhead at the equator
        (datetime(2026, 6, 21, 11, 24, tzinfo=UTC), 56.14, 8.97, 57.3),  # 90 - latitude + 23.44
        (datetime(2026, 12, 21, 11, 22, tzinfo=UTC), 56.14, 8.97, 10.4),  # 90 - latitude - 23.44
        (datetime(2026, 6, 21, 0, 0, tzinfo=UTC), 90.0, 0.0, 23.44),  # the pole's midnight sun
    ],
)
def test_the_sun_stands_where_astronomy_says(
    at: datetime, latitude: float, longitude: float, degrees: float
) -> None:
    """Noon heights at solstice and equinox are right within half a degree."""
    assert sun_elevation(at, latitude, longitude) == pytest.approx(degrees, abs=0.6)


def test_charging_comes_in_sessions() -> None:
    """A charging point idles, then gives one of the usual powers for a while."""
    powers = [row.power_kw for row in generate("chargingstations", days=7)]
    assert {7.4, 11.0, 22.0} & set(powers)
    assert max(powers) <= 22
    assert 0.1 < sum(power == 0 for power in powers) / len(powers) < 0.95


def test_days_of_a_clock_change_have_their_true_length() -> None:
    """The local day of the autumn change has 25 hours, that of spring 23."""
    assert len(list(generate("hotels", date(2026, 10, 25), 1))) == 100
    assert len(list(generate("hotels", date(2026, 3, 29), 1))) == 92


def test_rows_are_written_with_utc_times_and_an_export_register_for_pv() -> None:
    """The columns are time, power and register; PV has its export register too."""
    text = io.StringIO()
    assert write_csv(generate("pv", days=1), text, export=True) == 96
    lines = text.getvalue().splitlines()
    assert lines[0] == "time;power_kw;energy_kwh;energy_export_kwh"
    assert lines[1].startswith("2026-05-31T22:15:00Z;")
    assert run("--kind", "bars", "--days", "1").startswith("time;power_kw;energy_kwh\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--kind", "castles"), "VEN-SIM-040"),
        (("--kind", "all"), "VEN-SIM-041"),
        (("--kind", "pv", "--zone", "Mars/Base"), "VEN-SIM-042"),
        (("--kind", "pv", "--out", "/proc/none/x.csv"), "VEN-SIM-043"),
    ],
)
def test_a_wrong_word_is_refused(words: tuple[str, ...], code: str) -> None:
    """A kind, folder or zone that makes no sense is an error of configuration that names the option."""
    with pytest.raises(ConfigError, match=code):
        run(*words, fails=True)


def test_an_unknown_kind_is_refused() -> None:
    """The generator raises the same message as the command."""
    with raises_code(ValueError, "VEN-SIM-040"):
        list(generate("castles"))
