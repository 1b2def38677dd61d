"""`ven simulate meterdata`: writes invented meter files that FILEREADER connections can read."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def meterdata(
    kind: Annotated[
        str, typer.Option("--kind", help="hotels, schools, pv, chargingstations, ..., or all.")
    ] = "all",
    start: Annotated[
        datetime, typer.Option("--start", formats=["%Y-%m-%d"], help="First local day.")
    ] = datetime(2026, 6, 1),  # noqa: DTZ001  a day; the zone gives it its hours
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How many days.")] = 7,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same file.")] = 2026,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File, or folder for --kind all; otherwise standard output."),
    ] = None,
    latitude: Annotated[
        float, typer.Option("--latitude", min=-90, max=90, help="Where the sun shines.")
    ] = 56.14,
    longitude: Annotated[float, typer.Option("--longitude", min=-180, max=180)] = 8.97,
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the day's shape.")] = "Europe/Copenhagen",
) -> None:
    """Write 15-minute meter data of a kind of site: time;power_kw;energy_kwh, times in UTC.

    Power is the mean of the quarter that ends at the time, energy a register; PV is negative power, and
    has an export register.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from venclient.errors import ConfigError
    from venclient.simulation.meterdata import KINDS, generate, write_csv

    if kind != "all" and kind not in KINDS:
        raise ConfigError(
            f"{kind!r} is not known", subject="--kind", hint=f"give all or one of {', '.join(KINDS)}"
        )
    if kind == "all" and out is None:
        raise ConfigError("all kinds need a folder", subject="--out", hint="give --out FOLDER, or one --kind")
    try:
        where = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            f"{zone!r} is no time zone", subject="--zone", hint="like Europe/Copenhagen"
        ) from error
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
            why = error.strerror or str(error)
            raise ConfigError(
                f"cannot be written ({why})", subject=str(path), hint="give another --out"
            ) from error
        typer.echo(f"{path}: {count} rows", err=True)
