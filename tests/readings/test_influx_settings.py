"""What settings say about InfluxDB, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from venclient.clock import ManualClock
from venclient.errors import ConfigError
from venclient.readings.line_protocol import Tags
from venclient.readings.memory import MemoryReadings
from venclient.readings.mirror import Mirror, open_mirror
from venclient.settings import load_settings

REQUIRED = '[ven]\nname = "x"\n[vtn]\nurl = "https://vtn.example.com/openadr3/3.1.1"\n'


async def opened(folder: Path, text: str) -> Mirror | None:
    """Return the mirror of these settings."""
    file = folder / "ven.toml"
    file.write_text(REQUIRED + text)
    settings = load_settings(file, environment={})
    return open_mirror(settings, MemoryReadings(), {"b": Tags()}, ManualClock())


async def test_without_a_url_there_is_no_mirror(tmp_path: Path) -> None:
    """InfluxDB is an addition, never needed."""
    assert await opened(tmp_path, "") is None


async def test_a_mirror_reads_history_only_when_asked_to(tmp_path: Path) -> None:
    """`readings.store` decides where reports take theirs from."""
    influx = '[influx]\nurl = "http://127.0.0.1:8086"\nversion = 1\n'
    plain = await opened(tmp_path, influx)
    reading = await opened(tmp_path, influx + '[readings]\nstore = "influxdb"\n')

    assert plain is not None
    assert reading is not None
    assert (plain.gives_history, reading.gives_history) == (False, True)
    assert plain.status()["history"] is None


async def test_a_secret_that_is_not_there_is_named_at_the_start(tmp_path: Path) -> None:
    """By its reference."""
    with pytest.raises(ConfigError, match="env:NO_SUCH_TOKEN"):
        await opened(
            tmp_path,
            '[influx]\nurl = "https://i.example.com"\norg = "s"\ntoken = "env:NO_SUCH_TOKEN"\n',
        )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[influx]\nversion = 4\n", "influx.version = 4: expected 1 or 2 or 3"),
        ('[influx]\nlanguage = "sql"\n', "influx.language = 'sql': expected influxql or flux"),
        ('[influx]\nlanguage = "flux"\nversion = 3\n', "influx.language = 'flux' needs influx.version = 2"),
        ('[readings]\nstore = "mongo"\n', "readings.store = 'mongo': expected sqlite or influxdb"),
        ('[readings]\nstore = "influxdb"\n', "readings.store = 'influxdb' needs influx.url"),
        ('[influx]\nurl = "https://i.example.com"\n', "influx.url with influx.version = 2 needs influx.org"),
        ('[influx]\ntoken = "abc"\n', "influx.token = ***: expected"),
    ],
)
async def test_a_mistake_is_told_with_what_was_expected(tmp_path: Path, text: str, told: str) -> None:
    """Each by file, key, value and expected form."""
    with pytest.raises(ConfigError) as caught:
        await opened(tmp_path, text)

    assert [one for one in caught.value.problems if told in one]
