"""`ven demo`: from sample sites to accepted reports, on this machine alone, with checks at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from venclient.screen import say


def demo(
    forever: Annotated[bool, typer.Option("--forever", help="Keep running until Ctrl-C.")] = False,
    site: Annotated[
        Path | None, typer.Option(help="Keep the demo's files in this new or empty folder.")
    ] = None,
    config_folder: Annotated[
        Path | None,
        typer.Option(
            "--config-folder", help="Use exampleassets/ of this folder, not the sites that come with ven."
        ),
    ] = None,
    ven: Annotated[str, typer.Option(help="VEN of the sample sites to run.")] = "Herning",
    intervals: Annotated[int, typer.Option(min=1, max=60, help="Number of 10 s intervals to report.")] = 4,
) -> None:
    """Run a virtual site, a local VTN and the gateway for a minute.

    Compares reported with actual consumption; exit status 0 only if every check held. Files are written only
    to a temporary folder, or to --site.
    """
    import asyncio
    import signal

    from venclient.messages import simulation as sim
    from venclient.simulation.demo import Demo

    async def serve() -> int:
        loop = asyncio.get_running_loop()
        work = asyncio.create_task(
            Demo(config_folder, ven=ven, site=site, intervals=intervals, forever=forever).run(), name="demo"
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        try:
            return await work
        except asyncio.CancelledError:
            say(sim.STOPPED())
            return 130

    raise typer.Exit(asyncio.run(serve()))
