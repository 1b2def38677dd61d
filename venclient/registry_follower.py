"""Follows the registry's record of changes while the gateway runs.

A part of the composition root. Changes are taken up at the next look, some seconds after they were made.
A registry that is away for a while changes nothing: what was read last goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from venclient.clock import Clock, rest
from venclient.errors import VenError
from venclient.messages import gateway as gwy
from venclient.notes import Notes
from venclient.registered import Registered, RegistrySource
from venclient.registry.opening import is_url

log = logging.getLogger("venclient.gateway")

LOOK_S = 2.0
#: A server is asked less often: each look is a connection.
LOOK_AT_SERVER_S = 5.0
#: After unexpected errors it looks less and less often, at the least this often.
LONGEST_LOOK_S = 60.0
UNFOLLOWED = "registry"


class RegistryFollower:
    """Looks at a registry now and then, and has what changed applied.

    `running` is what was read at the start; `apply` gets what holds from now on, and what held before.
    """

    def __init__(
        self,
        source: RegistrySource,
        running: Registered,
        apply: Callable[[Registered, Registered], None],
        clock: Clock,
        notes: Notes,
    ) -> None:
        self.running = running
        #: The newest version that was seen, applied or not.
        self.stored = running.version
        self._source = source
        self._apply = apply
        self._clock = clock
        self._notes = notes
        self._look_s = LOOK_AT_SERVER_S if is_url(source.database) else LOOK_S
        self._wake = asyncio.Event()
        self._anyway = False
        self._broken = 0

    def look_now(self) -> None:
        """Read the registry at once, also when its record of changes says nothing new."""
        self._anyway = True
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            wait_s = max(self._look_s, min(LONGEST_LOOK_S, self._look_s * 2.0 ** min(self._broken, 16)))
            await rest(self._clock, wait_s, self._wake)
            self._wake.clear()
            await self.look()

    async def look(self) -> None:
        """Look once; a registry that cannot be read is reported once, and changes nothing.

        An unexpected error is reported as well, and what changed is read and applied again at the next look.
        """
        try:
            await self._look()
        except VenError as error:
            self._notes.begin(UNFOLLOWED, gwy.NOT_FOLLOWED(reason=error))
        except Exception as error:  # noqa: BLE001  a bug in following must not end the readings
            self._broken += 1
            self._anyway = True
            said = gwy.NOT_FOLLOWED(reason=gwy.UNEXPECTED(kind=type(error).__name__))
            self._notes.begin(UNFOLLOWED, said, bug=error)
        else:
            self._broken = 0
            self._notes.end(UNFOLLOWED)

    async def _look(self) -> None:
        anyway, self._anyway = self._anyway, False
        version = await asyncio.to_thread(self._source.version)
        if version is not None:
            self.stored = version
        if self.stored == self.running.version and not anyway:
            return
        before = self.running
        try:
            self.running = await asyncio.to_thread(self._source.read, before)
        except BaseException:
            self._anyway = anyway
            raise
        self.stored = self.running.version
        if self.running.served != before.served:
            log.info(gwy.FOLLOWED(**_differences(before, self.running), version=self.running.version.number))
        self._apply(self.running, before)


def _differences(before: Registered, now: Registered) -> dict[str, int]:
    old, new = before.resources, now.resources
    return {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "changed": sum(old[id_] != new[id_] for id_ in old.keys() & new.keys()),
    }
