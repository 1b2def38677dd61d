"""The page about InfluxDB says what works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.snippets import snippet
from venclient.settings import load_settings

REQUIRED = '[ven]\nname = "x"\n[vtn]\nurl = "https://vtn.example.com/openadr3/3.1.1"\n'


@pytest.mark.parametrize(
    ("block", "version", "store"),
    [("1", 1, "sqlite"), ("2", 2, "sqlite"), ("3", 3, "sqlite"), ("history", 1, "influxdb")],
)
def test_its_settings_are_right(root: Path, tmp_path: Path, block: str, version: int, store: str) -> None:
    """Each block of settings loads as it stands."""
    file = tmp_path / "ven.toml"
    file.write_text(REQUIRED + snippet(root, f"settings: influx {block}"), encoding="utf-8")

    settings = load_settings(file, environment={})

    assert (settings["influx.version"], settings["readings.store"]) == (version, store)
    assert settings["influx.bucket"] == "meter_data"
