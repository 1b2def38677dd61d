"""`ven demo`: the main job, from sample sites to accepted reports, on this machine alone, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    forever: Annotated[bool, typer.Option("--forever", help="Keep running until Ctrl-C.")] = False,
    site: Annotated[
        Path | None, typer.Option(help="Keep the demo's files in this folder, for a look afterwards.")
    ] = None,
    config_folder: Annotated[
        Path, typer.Option("--config-folder", help="Where exampleassets/ is and resources.db is built.")
    ] = Path("config"),
    ven: Annotated[str, typer.Option(help="Which VEN of the samples to run.")] = "Herning",
    intervals: Annotated[int, typer.Option(min=1, max=60, help="How many intervals of 10 s to report.")] = 4,
) -> None:
    """Run a virtual site, a local VTN and the gateway for a minute.

    What the VTN was told is checked against what the site truly used. Exit status 0 only if all of it held.
    """
    import asyncio
    import signal

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
            typer.echo("stopped")
            return 130

    raise typer.Exit(asyncio.run(serve()))
