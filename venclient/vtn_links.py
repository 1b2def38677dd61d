"""All VTNs that a gateway talks to: their links, each with its own tasks, and what changes of them.

A part of the composition root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack

from venclient.client import VtnAccount
from venclient.errors import VenError
from venclient.model.resource import Resource
from venclient.settings import Settings
from venclient.vtn_link import VtnLink

#: Makes a link from a VTN's name ("" for the first), settings, account and resources.
MakeLink = Callable[[str, Settings, VtnAccount, Mapping[str, Resource]], VtnLink]
Served = Mapping[str, Mapping[str, Resource]]


class VtnLinks:
    """The links by name of their VTN, the first VTN's first. Iterate over them at any time.

    `ready` is awaited by each link before its first report.
    """

    def __init__(self, make: MakeLink, ready: Callable[[], Awaitable[None]]) -> None:
        self._make = make
        self._ready = ready
        self._links: dict[str, VtnLink] = {}
        self._accounts: dict[str, VtnAccount] = {}
        self._sides: dict[str, Settings] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def __iter__(self) -> Iterator[VtnLink]:
        return iter(tuple(self._links.values()))

    def open(self, sides: Mapping[str, Settings], accounts: Mapping[str, VtnAccount], served: Served) -> None:
        """Open a link for each of the VTNs; when one cannot be opened, none is."""
        try:
            for name, own in sides.items():
                self._open(name, own, accounts[name], served.get(name, {}))
        except BaseException:
            self.close()
            raise

    def _open(self, name: str, own: Settings, account: VtnAccount, resources: Mapping[str, Resource]) -> None:
        self._links[name] = self._make(name, own, account, resources)
        self._sides[name], self._accounts[name] = own, account

    async def run(self) -> None:
        """Talk with all VTNs until cancelled."""
        forever = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name in self._links:
                self._start(name)
            await forever.wait()

    def _start(self, name: str) -> None:
        if self._group is not None:
            link = self._links[name]
            self._tasks[name] = self._group.create_task(link.run(self._ready), name=str(link))

    def serve(self, served: Served) -> None:
        """Let each VTN hear of these resources from now on."""
        for name, link in self._links.items():
            link.serve(served.get(name, {}))

    async def change(
        self, sides: Mapping[str, Settings], accounts: Mapping[str, VtnAccount], served: Served
    ) -> None:
        """Talk with these VTNs from now on; a link whose settings or secrets are others is opened again.

        What waits in its state file goes on where it was. VenError when one cannot be opened: the link goes
        on with the settings that it had, and so do those behind it.
        """
        for name in [name for name in self._links if name not in sides]:
            await self._end(name)
        for name, own in sides.items():
            if name in self._links and self._is_same(name, own, accounts[name]):
                continue
            before = self._sides.get(name), self._accounts.get(name)
            was_open = name in self._links
            await self._end(name)
            try:
                self._open(name, own, accounts[name], served.get(name, {}))
            except VenError:
                if was_open and before[0] is not None and before[1] is not None:
                    self._open(name, before[0], before[1], served.get(name, {}))
                raise
            finally:
                if name in self._links:
                    self._start(name)
        self._links = {name: self._links[name] for name in sides}

    def _is_same(self, name: str, own: Settings, account: VtnAccount) -> bool:
        before = self._sides[name]
        same = account == self._accounts[name]
        return same and all(own[key] == before[key] for key in own.values if _is_of_vtn(key))

    async def _end(self, name: str) -> None:
        link, task = self._links.pop(name, None), self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if link is not None:
            link.close()

    def close(self) -> None:
        """Close the state files; `run` must have ended."""
        with ExitStack() as links:  # one that cannot be closed keeps no other open
            for link in self._links.values():
                links.callback(link.close)

    def skew_s(self) -> float | None:
        """Return our clock less that of the first VTN that reported its own; None while none has."""
        skews = (link.client.clock_skew_s for link in self)
        return next((skew for skew in skews if skew is not None), None)


def _is_of_vtn(key: str) -> bool:
    return key.startswith(("vtn.", "reporting.")) or key in ("ven.name", "ven.resources")
