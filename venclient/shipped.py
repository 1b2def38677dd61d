"""The sample sites and sample settings: `config/` of a checkout, or the copy of it in the installed wheel."""

from __future__ import annotations

from pathlib import Path

from venclient.errors import ConfigError
from venclient.messages.simulation import NOT_SHIPPED

#: The folder with one CSV file for each kind of sample site.
SITES = "exampleassets"
#: The sample settings of a gateway.
SETTINGS = "ven.toml"


def shipped(name: str) -> Path:
    """Return the path of `SITES` or `SETTINGS`; ConfigError when this installation lacks it."""
    package = Path(__file__).resolve().parent
    for folder in (package / "data", package.parent / "config"):
        if (folder / name).exists():
            return folder / name
    raise ConfigError(NOT_SHIPPED(name=name))
