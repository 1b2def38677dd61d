"""Builds config/resources.db from the CSV files of config/exampleassets/ and prints its statistics.

Installed from a wheel, it takes the sample files of the wheel when `config/exampleassets` is missing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

try:
    from resource_db import ResourceDatabase
    from venclient.coded_log import show_codes
    from venclient.errors import VenError
    from venclient.messages import simulation as sim
    from venclient.registry import samples
    from venclient.registry.samples import convert_to_resources
    from venclient.screen import say
    from venclient.shipped import SITES, shipped
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    # The catalogue of messages is among what may be missing.
    sys.exit(f"{missing}: run `tools/bootstrap.sh demo`, then `. .venv/bin/activate`")

__all__ = ["convert_to_resources", "generate_resources", "main"]


def generate_resources(*, quiet: bool = True) -> ResourceDatabase:
    """Return ./config/resources.db, renewed from ./config/exampleassets; elsewhere, this checkout's."""
    folder, assets = _folders()
    return samples.generate_resources(folder, assets=assets, quiet=quiet)


def _folders() -> tuple[Path, Path]:
    """Return the folder of the database and that of the sample files.

    These are ./config where it holds samples, else that of this checkout; without one, ./config and the
    samples of the wheel.
    """
    here = Path("config")
    for folder in (here, Path(__file__).resolve().parent / "config"):
        if (folder / samples.ASSETS).is_dir():
            return folder, folder / samples.ASSETS
    return here, shipped(SITES)


def main() -> int:
    """Build the database and print what each file brought and the statistics.

    Return 0; 1 when rows were rejected or a file could not be used; 2 when nothing could be done.
    """
    rejected: list[int] = []
    try:
        folder, assets = _folders()
        database = samples.generate_resources(folder, assets=assets, quiet=False, rejected_count=rejected)
        statistics = database.get_statistics()
    except VenError as error:
        say(str(error), err=True)
        return 2
    say("", f"{sim.RESOURCES_IN(count=statistics['total_resources'], database=database.db_path)}")
    for message, key in (
        (sim.BY_TYPE, "by_type"),
        (sim.BY_SUBTYPE, "by_subtype"),
        (sim.LARGEST_VENS, "top_10_vens"),
    ):
        say(message(counts=[f"{name} {count}" for name, count in statistics[key].items()]))
    return 1 if sum(rejected) else 0


if __name__ == "__main__":
    show_codes()
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
