"""`ven readings` from its user's side."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from venclient.cli.readings import app
from venclient.clock import SystemClock
from venclient.errors import ConfigError, StoreError
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.tables import open_tables

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a readings file with old and recent readings of two resources."""
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


def test_show_tells_newest_values_and_the_last_hour(file: Path) -> None:
    """Each quantity's newest value is shown with its age, then the readings of the last hour."""
    text = ven("show", "hotel", "--readings", file)

    assert "8.000" in text
    assert "300 s ago" in text
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
    with pytest.raises(StoreError, match="no such file"):
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
