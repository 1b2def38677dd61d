"""Settings with an InfluxDB, for what reads them from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from venclient.settings import Settings, load_settings


def settings_of(folder: Path, *, store: str = "sqlite", **influx: Any) -> Settings:
    """Return settings whose [influx] table has these members."""
    lines = [
        '[ven]\nname = "v"\n[vtn]\nurl = "https://vtn.example.com"',
        f'[readings]\nstore = "{store}"\nretention_days = 400.0\n[influx]',
    ]
    for name, value in influx.items():
        lines.append(f"{name} = {value}" if isinstance(value, int) else f'{name} = "{value}"')
    path = folder / "ven.toml"
    path.write_text("\n".join(lines) + "\n")
    return load_settings(path)
