"""What the demo prints at its end, on the usual terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from venclient.simulation.demo import Demo, energy_table
from venclient.simulation.verdict import EnergyRow, verdicts

ROWS = [
    EnergyRow("Rooftop PV of Egekrogen Friluftsbad", 4, -0.4736, -0.4736, -42.62),
    EnergyRow("Et meget langt navn på et hotel ved havnen i Nykøbing Mors", 4, 1000.1234, 1000.1235, None),
]


def test_the_energy_table_is_a_line_each_at_80_columns() -> None:
    """Long names are shortened; figures stay whole."""
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(energy_table(ROWS))
    head, *lines = captured.get().splitlines()

    assert head.split() == ["resource", "sent", "kWh", "used", "kWh", "off", "by", "mean", "kW"]
    assert len(lines) == len(ROWS)
    assert all(len(line) <= 80 for line in (head, *lines))
    assert "Rooftop PV of Egekrogen Friluftsbad " in lines[0]


def test_a_check_of_energy_is_a_line_at_80_columns() -> None:
    """Name, error and intervals fit beside the mark; the figures are in the table."""
    checks = verdicts(ROWS[:1], intervals=4, accepted=4, sent=4, refused=0, readings={"MQTT": 5})

    assert all(len(f"    FAILED  {text}") <= 80 for _, text in checks)


@pytest.mark.peer
async def test_an_unknown_ven_is_answered_with_those_that_there_are(root: Path, tmp_path: Path) -> None:
    """The demo ends before anything is started, and names what can be chosen."""
    import shutil

    from venclient.errors import ConfigError

    shutil.copytree(root / "config" / "exampleassets", tmp_path / "exampleassets")
    console = Console(width=80, file=io.StringIO())
    demo = Demo(tmp_path, ven="Nowhere", site=tmp_path / "s", intervals=1, forever=False, console=console)

    with pytest.raises(ConfigError, match=r"Nowhere.*Herning.*VEN-SIM-005"):
        await demo.run()


@pytest.mark.peer
@pytest.mark.parametrize("name", ["resources.db", "ven.toml", "notes.txt"])
async def test_a_folder_with_files_in_it_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    """`ven demo --site config` must not overwrite a registry, settings or anything else."""
    from venclient.errors import ConfigError

    (tmp_path / name).write_bytes(b"mine")
    demo = Demo(None, ven="Herning", site=tmp_path, intervals=1, forever=False, console=Console(quiet=True))

    with pytest.raises(ConfigError, match="VEN-SIM-003"):
        await demo.run()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"mine"}


@pytest.mark.peer
async def test_a_site_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The error names the reason."""
    from venclient.errors import ConfigError

    (tmp_path / "site").write_bytes(b"mine")
    site = tmp_path / "site"
    demo = Demo(None, ven="Herning", site=site, intervals=1, forever=False, console=Console(quiet=True))

    with pytest.raises(ConfigError, match="VEN-SIM-004"):
        await demo.run()


@pytest.mark.peer
async def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    """--config-folder must hold exampleassets/*.csv."""
    from venclient.errors import ConfigError

    site = tmp_path / "site"
    demo = Demo(tmp_path, ven="Herning", site=site, intervals=1, forever=False, console=Console(quiet=True))

    with pytest.raises(ConfigError, match="VEN-SIM-002"):
        await demo.run()
