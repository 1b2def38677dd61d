"""`ven simulate meterdata`: writes invented meter files for FILEREADER connections."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from venclient.screen import say


def meterdata(
    kind: Annotated[
        str, typer.Option("--kind", help="hotels, schools, pv, chargingstations, ..., or all.")
    ] = "all",
    start: Annotated[
        datetime, typer.Option("--start", formats=["%Y-%m-%d"], help="First local day.")
    ] = datetime(2026, 6, 1),  # noqa: DTZ001  a day; the zone gives it its hours
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Number of days.")] = 7,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the random noise; the same seed writes the same file.")
    ] = 2026,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File, or folder for --kind all; otherwise standard output."),
    ] = None,
    latitude: Annotated[
        float, typer.Option("--latitude", min=-90, max=90, help="Latitude of the PV plant.")
    ] = 56.14,
    longitude: Annotated[
        float, typer.Option("--longitude", min=-180, max=180, help="Longitude of the PV plant.")
    ] = 8.97,
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of the daily load curve.")
    ] = "Europe/Copenhagen",
) -> None:
    """Write sample meter data of a kind of site.

    One line each 15 minutes: time;power_kw;energy_kwh, times in UTC.

    Power is the mean of the quarter that ends at the time, energy a register; PV is negative power, and
    has an export register.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from venclient.errors import ConfigError
    from venclient.messages import simulation as sim
    from venclient.simulation.meterdata import KINDS, generate, write_csv

    if kind != "all" and kind not in KINDS:
        raise ConfigError(sim.UNKNOWN_KIND(kind=kind, known=KINDS), subject="--kind")
    if kind == "all" and out is None:
        raise ConfigError(sim.OUT_MISSING(), subject="--out")
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(sim.UNKNOWN_ZONE(zone=zone), subject="--zone") from error
    kinds = KINDS if kind == "all" else (kind,)
    for name in kinds:
        rows = generate(
            name, start.date(), days, seed=seed, latitude=latitude, longitude=longitude, zone=where
        )
        if out is None:
            write_csv(rows, sys.stdout, export=name == "pv")
            continue
        path = out / f"{name}.csv" if kind == "all" or out.is_dir() else out
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="\n") as stream:
                count = write_csv(rows, stream, export=name == "pv")
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(sim.UNWRITABLE(reason=reason), subject=str(path)) from error
        say(sim.ROWS_WRITTEN(path=path, count=count), err=True)
