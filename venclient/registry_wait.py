"""Waiting at the start for a registry that is away, such as a PostgreSQL server that boots later.

A part of the composition root: `ven run` begins with it. Only what may pass is waited for: a refused
login or an unknown database ends the start at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from venclient.clock import Clock
from venclient.errors import RegistryError
from venclient.messages import gateway as gwy
from venclient.registered import registry_of
from venclient.registry.database import ResourceDatabase
from venclient.settings import Settings

log = logging.getLogger("venclient.gateway")
T = TypeVar("T")

FIRST_REST_S = 2.0
LONGEST_REST_S = 60.0


def look_at_registry(settings: Settings) -> None:
    """Open the registry of these settings once and close it; RegistryError when it cannot be used."""
    database, key_file = registry_of(settings)
    with ResourceDatabase(database, key_file=key_file):
        pass


async def when_reachable(look: Callable[[], None], build: Callable[[], T], clock: Clock) -> T:
    """Return what `build` makes once `look` succeeds; a RegistryError that is transient is waited for.

    `look` runs in a thread, so a server that does not answer does not delay the end of the program.
    """
    attempts, rest_s = 1, FIRST_REST_S
    while True:
        try:
            await asyncio.to_thread(look)
            made = build()
        except RegistryError as error:
            if not error.transient:
                raise
            if attempts == 1:
                log.warning(gwy.REGISTRY_AWAY(reason=str(error)))
        else:
            if attempts > 1:
                log.info(gwy.REGISTRY_BACK(attempts=attempts))
            return made
        attempts += 1
        await clock.sleep(rest_s)
        rest_s = min(2 * rest_s, LONGEST_REST_S)
