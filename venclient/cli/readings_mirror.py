"""`ven readings mirror`: send the journal's readings to InfluxDB again, from a date on."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli.service import DEFAULT_CONFIG, ConfigOption
from venclient.errors import ConfigError
from venclient.messages import cli_meters as clm
from venclient.messages import influx as inf
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.screen import say

if TYPE_CHECKING:
    from venclient.readings.line_protocol import Tags
    from venclient.settings import Settings


def mirror(
    since: Annotated[
        str, typer.Option("--since", help="First moment, ISO 8601; UTC when it has no zone.", metavar="DATE")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Send stored readings to the InfluxDB of the settings again.

    For a bucket that lost readings, or was replaced by another of the same name. The gateway may run
    meanwhile. A run that was interrupted continues when the same command is given again. Exit status 1
    when InfluxDB rejected readings.
    """
    import asyncio

    from venclient.clock import SystemClock
    from venclient.settings import load_settings

    first = moment("--since", since)
    now = SystemClock().now()
    if first > now:
        raise ConfigError(inf.REFILL_FUTURE(time=_shown(first)), subject="--since")
    settings = load_settings(config)
    if settings["influx.url"] is None:
        raise ConfigError(inf.REFILL_NO_URL(), subject=str(config))
    if asyncio.run(_sent(settings, first)):
        raise typer.Exit(1)


async def _sent(settings: Settings, since: datetime) -> int:
    """Send the readings, print how far it came, and return how many were rejected."""
    from venclient.clock import SystemClock
    from venclient.readings.influx import InfluxServer
    from venclient.readings.mirror import account_of
    from venclient.readings.refill import Refill
    from venclient.readings.series import from_ms
    from venclient.readings.tables import open_tables

    account = account_of(settings)
    if account is None:
        raise ConfigError(inf.REFILL_NO_URL())
    path = settings.path("readings.path")
    tags = _tags(settings)
    with closing(open_tables(path, read_only=True)) as tables:
        async with InfluxServer(account) as server:
            refill = Refill(
                tables,
                server,
                tags,
                SystemClock(),
                since=since,
                batch=settings["influx.batch"],
                state=path.with_name(path.name + ".mirror"),
            )

            def report() -> None:
                at = _shown(from_ms(refill.at_ms))
                say(inf.REFILL_PROGRESS(at=at, sent=refill.sent, rejected=refill.rejected))

            if refill.continued:
                say(inf.REFILL_CONTINUED())
            if not refill.resources:
                say(inf.REFILL_NONE(since=_shown(since)))
                return 0
            await refill.run(report)
    done = inf.REFILL_DONE(
        sent=refill.sent,
        resources=refill.resources,
        since=_shown(since),
        name=server.subject,
        bucket=foreign(account.bucket),
    )
    say(done)
    if refill.rejected:
        text = inf.REFILL_REJECTED(count=refill.rejected, reason=foreign(refill.last_reject))
        say(with_code(text), err=True)
    return refill.rejected


def _tags(settings: Settings) -> dict[str, Tags]:
    """Return the resources that a gateway with these settings mirrors, with what is written beside them."""
    from venclient.readings.line_protocol import Tags
    from venclient.registrar import served_resources

    sides = (settings, *settings.others.values())
    resources = [one for side in sides for one in served_resources(side).resources.values()]
    return {one.resourceID: Tags(one.meterPointId, one.ven or settings["ven.name"]) for one in resources}


def moment(option: str, text: str) -> datetime:
    """Return the moment that an option gives, in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(clm.TIME(text=repr(text)), subject=option) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _shown(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
