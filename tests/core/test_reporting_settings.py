"""Settings of reports: choices and zones are checked, and reach the report engine."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from venclient.errors import ConfigError
from venclient.reporting.means import report_options
from venclient.reporting.windows import WindowRules
from venclient.settings import load_settings

GOOD = '[ven]\nname = "site-1"\n[vtn]\nurl = "https://vtn.example/openadr3/3.1.1"\n'


def written(folder: Path, reporting: str) -> Path:
    """Return a settings file with a table of reporting."""
    path = folder / "ven.toml"
    path.write_text(f"{GOOD}[reporting]\n{reporting}\n")
    return path


def test_readings_of_the_standard_reach_the_engine(tmp_path: Path) -> None:
    """What is chosen is what reports are planned and made with."""
    path = written(
        tmp_path,
        'window_reading = "first-covered"\nall_intervals = "all"\nforecast_at = "end"\n'
        'sub_interval_s = 300\nadhoc_s = 60\ntime_zone = "Europe/Copenhagen"',
    )
    options = report_options(load_settings(path, environment={}))

    assert options.rules == WindowRules("first-covered", "all", "end")
    assert (options.sub_interval_s, options.adhoc_s) == (300.0, 60.0)
    assert options.zone == ZoneInfo("Europe/Copenhagen")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('window_reading = "both"', "expected automatic or generation-point or first-covered"),
        ('all_intervals = "some"', "expected since-last or all"),
        ('forecast_at = "noon"', "expected start or end"),
        ('time_zone = "Mars/Olympus"', "unknown time zone"),
    ],
)
def test_wrong_choice_is_named(tmp_path: Path, line: str, said: str) -> None:
    """An unknown word is reported with the valid ones."""
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, line), environment={})

    assert any(said in one for one in caught.value.problems)
