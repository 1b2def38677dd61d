"""`ven readings` from its user's side."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.codes import raises_code
from venclient.cli import db
from venclient.cli import readings as readings_cli
from venclient.cli.readings import app
from venclient.clock import SystemClock
from venclient.clock_guard import PROVISIONAL
from venclient.errors import ConfigError, StoreError
from venclient.installation import install_hint
from venclient.messages.readings import FILE_GOOD
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.aside import Aside
from venclient.readings.tables import open_tables
from venclient.registry.database import ResourceDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a readings file with old and recent readings of two resources."""
    path = tmp_path / "readings.db"
    now = SystemClock().now()
    tables = open_tables(path)
    tables.write(
        [
            Reading("hotel", POWER_KW, 0.1, NOON),
            Reading("hotel", ENERGY_KWH, 12.5, NOON + timedelta(milliseconds=250), Quality.ESTIMATED),
            Reading("bar", POWER_KW, -2.0, NOON + timedelta(hours=1)),
            Reading("hotel", POWER_KW, 7.0, now - timedelta(minutes=30)),
            Reading("hotel", POWER_KW, 8.0, now - timedelta(minutes=5)),
        ],
        {},
        now=now,
    )
    tables.close()
    return path


def ven(*words: object) -> str:
    """Run `ven readings` and give what it printed; its errors come through."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).stdout


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (5, "5 s ago"),
        (1060, "18 min ago"),
        (9000, "2 h ago"),
        (2.7e6, "31 d ago"),
        (-5, "5 s ahead of this clock"),
    ],
)
def test_ages_are_told_as_people_say_them(seconds: float, age: str) -> None:
    """In one unit, like everywhere else."""
    assert readings_cli._age(seconds) == age


def test_show_tells_newest_values_and_the_last_hour(file: Path) -> None:
    """Each quantity's newest value is shown with its age, then the readings of the last hour."""
    text = ven("show", "hotel", "--readings", file)

    assert "8.000" in text
    assert re.search(r"30\d s ago", text)  # a slow machine may be some seconds late
    assert "12.500" in text
    assert "2 readings in the last 1h" in text


def test_show_json_is_for_programs(file: Path) -> None:
    """The JSON has the newest readings and those of the asked time, filtered by quantity."""
    found = json.loads(
        ven("show", "hotel", "--quantity", POWER_KW, "--last", "10m", "--json", "--readings", file)
    )

    assert list(found["latest"]) == [POWER_KW]
    assert [one["value"] for one in found["readings"]] == [8.0]


def test_show_of_an_unknown_resource_names_known_ones(file: Path) -> None:
    """A wrong id is answered with ids that exist, and exit status 1."""
    result = CliRunner().invoke(app, ["show", "hotle", "--readings", str(file)])

    assert result.exit_code == 1
    assert "bar, hotel" in result.stderr


def test_wrong_duration_says_what_is_expected(file: Path) -> None:
    """A duration that cannot be read is a configuration error with an example."""
    with pytest.raises(ConfigError, match="15m"):
        ven("show", "hotel", "--last", "soon", "--readings", file)


def test_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    """Looking at a file that is not there says so and leaves nothing behind."""
    with pytest.raises(StoreError, match="VEN-RDG-016"):
        ven("show", "hotel", "--readings", tmp_path / "none.db")

    assert list(tmp_path.iterdir()) == []


def test_export_writes_every_reading_exactly(file: Path) -> None:
    """The CSV has all readings in time order with values that read back the same."""
    rows = list(csv.DictReader(io.StringIO(ven("export", "--readings", file))))

    assert len(rows) == 5
    assert rows[1] == {
        "resource_id": "hotel",
        "quantity": ENERGY_KWH,
        "time": "2026-03-01T12:00:00.250Z",
        "value": "12.5",
        "quality": "estimated",
    }


def test_export_can_be_narrowed(file: Path, tmp_path: Path) -> None:
    """Resource, quantity and times choose what goes into the file."""
    output = tmp_path / "out.csv"

    text = ven(
        "export", "--resource", "hotel", "--from", "2026-03-01T13:00+01:00", "--to", "2026-03-02",
        "--output", output, "--readings", file,
    )  # fmt: skip

    assert text == f"{output}: 2 readings\n"
    assert output.read_text().splitlines()[1].startswith("hotel,power_kw,2026-03-01T12:00:00.000Z,0.1")


def test_export_of_quarters_has_each_quarter_of_an_hour(file: Path) -> None:
    """Quarters say how many readings, mean or energy, how much is vouched for, and the extremes."""
    text = ven("export", "--quarters", "--resource", "bar", "--readings", file)

    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["time"], row["readings"], row["value"]) == ("2026-03-01T13:00:00.000Z", "1", "-2.0")


def test_export_to_parquet_without_pyarrow_names_the_extra(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named with the command that installs it, and no half file is left."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with raises_code(ConfigError, "VEN-CLM-051") as caught:
        ven("export", "--output", tmp_path / "out.parquet", "--readings", file)

    assert install_hint("parquet") in caught.value.hint
    assert list(tmp_path.glob("out*")) == []


def test_export_to_parquet_has_every_reading_exactly(file: Path, tmp_path: Path) -> None:
    """Times are in UTC to the millisecond, values and words as in the CSV."""
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "out.parquet"

    assert ven("export", "--output", output, "--readings", file) == f"{output}: 5 readings\n"

    rows = parquet.read_table(output).to_pylist()
    assert rows[1] == {
        "resource_id": "hotel",
        "quantity": ENERGY_KWH,
        "time": NOON + timedelta(milliseconds=250),
        "value": 12.5,
        "quality": "estimated",
    }


def test_check_tells_sizes_and_wear(file: Path) -> None:
    """A sound file is shown with its sizes, what is compressed, and what was written each day."""
    tables = open_tables(file)
    tables.history.note_wear(20_513, 130_000, 1_000)
    tables.close()

    text = ven("check", "--readings", file)

    assert "3 series; 5 recent readings, 0 compressed" in text
    assert "written on 2026-03-01: 130000 bytes for 1000 readings (130 bytes each)" in text
    assert text.endswith(f"{FILE_GOOD()}\n")
    assert json.loads(ven("check", "--json", "--readings", file))["problems"] == []


def test_what_was_set_aside_can_be_looked_at(file: Path) -> None:
    """By place, series and reason, each reading on request; times that count from the start as such."""
    assert ven("aside", "--readings", file) == "no readings are quarantined\n"
    tables = open_tables(file)
    moment = int(NOON.timestamp() * 1000)
    found = [
        Aside(
            "influxdb", "hotel", ENERGY_KWH, "field type conflict", 2, ((moment, 12.5), (moment + 1000, 13))
        ),
        Aside("influxdb", "bar", "time", "the name is taken", 1500, ((moment, 1.0),)),
        Aside("clock", "bar", POWER_KW, "no time", 1, ((int(PROVISIONAL.timestamp() * 1000) + 90_000, 5.0),)),
    ]
    tables.write([], {}, now=NOON, aside=found)
    tables.close()

    text = ven("aside", "--readings", file)
    assert (
        "influxdb: hotel energy_kwh: 2 readings of 2026-03-01T12:00:00.000Z .. 2026-03-01T12:00:01.000Z:"
        " field type conflict\n" in text
    )
    assert "clock: bar power_kw: 1 reading of 0:01:30 after the start of the machine: no time\n" in text
    listed = ven("aside", "--points", "--resource", "bar", "--readings", file)
    assert "and 1499 more that are only counted" in listed
    assert "hotel" not in listed
    shown = json.loads(ven("aside", "--json", "--readings", file))
    assert {(one["resource_id"], one["readings"]) for one in shown} == {
        ("hotel", 2),
        ("bar", 1500),
        ("bar", 1),
    }


def test_check_of_the_database_tells_of_the_readings_too(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ven db check` has sizes and bytes written each day of the readings file, also where it usually is."""
    tables = open_tables(file)
    tables.history.note_wear(20_513, 130_000, 1_000)
    tables.close()
    monkeypatch.chdir(tmp_path)
    ResourceDatabase(str(tmp_path / "resources.db")).close()

    def check(*words: object) -> str:
        result = CliRunner().invoke(db.app, ["check", "--db", "resources.db", *map(str, words)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "readings" not in check().replace("0 resources", "")
    shown = check("--readings", file)
    assert f"{file}: " in shown
    assert "written on 2026-03-01: 130000 bytes for 1000 readings (130 bytes each)" in shown
    (tmp_path / "var").mkdir()
    file.rename(tmp_path / "var" / "readings.db")
    assert "written on 2026-03-01: 130000 bytes" in check()
    assert json.loads(check("--json"))["readings"]["wear"][0]["bytes"] == 130_000


def test_check_names_damage_and_fails(file: Path) -> None:
    """A segment that cannot be read is a problem, and the exit status says so."""
    tables = open_tables(file)
    tables.connection.execute("INSERT INTO segment VALUES(?, ?, 1, x'0102')", (1 << 43 | 5, 5))
    tables.close()

    result = CliRunner().invoke(app, ["check", "--readings", str(file)])

    assert result.exit_code == 1
    assert "problem: segment" in result.stdout
