"""All VTNs that a gateway talks to: their links, each with its own tasks, and what changes of them.

A part of the composition root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from venclient.client import VtnAccount
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
        self._served: Served = {}
        #: The last snapshot of a link that is being opened again, by name of its VTN.
        self._last: dict[str, dict[str, Any]] = {}
        self._group: asyncio.TaskGroup | None = None

    def __iter__(self) -> Iterator[VtnLink]:
        return iter(tuple(self._links.values()))

    def open(self, sides: Mapping[str, Settings], accounts: Mapping[str, VtnAccount], served: Served) -> None:
        """Open a link for each of the VTNs; when one cannot be opened, none is."""
        self._served = served
        try:
            for name, own in sides.items():
                self._open(name, own, accounts[name])
        except BaseException:
            self.close()
            raise

    def _open(self, name: str, own: Settings, account: VtnAccount) -> None:
        self._links[name] = self._make(name, own, account, self._served.get(name, {}))
        self._sides[name], self._accounts[name] = own, account
        self._last.pop(name, None)

    def snapshots(self) -> list[dict[str, Any]]:
        """Return a snapshot of each VTN, the first VTN first; the last one of a link that is opened again."""
        now = self._last | {name: link.snapshot() for name, link in self._links.items()}
        return [now[name] for name in self._sides if name in now]

    async def run(self) -> None:
        """Talk with all VTNs until cancelled."""
        forever = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name in self._links:
                self._start(name)
            await forever.wait()

    def _start(self, name: str) -> None:
        if self._group is None:
            return
        link = self._links[name]
        work = link.run(self._ready)
        try:
            self._tasks[name] = self._group.create_task(work, name=str(link))
        except RuntimeError:  # the group is ending, and the gateway with it
            work.close()

    def serve(self, served: Served) -> None:
        """Let each VTN hear of these resources from now on."""
        self._served = served
        for name, link in self._links.items():
            link.serve(served.get(name, {}))

    async def change(self, sides: Mapping[str, Settings], accounts: Mapping[str, VtnAccount]) -> None:
        """Talk with these VTNs from now on; a link whose settings or secrets are others is opened again.

        What waits in its state file goes on where it was. All that changes is ended first: two VTNs may swap
        addresses or files. Raises the error of one that cannot be opened: then all go on with what they had.
        """
        changed = [name for name, own in sides.items() if not self._is_same(name, own, accounts[name])]
        ended = [name for name in self._sides if name not in sides or name in changed]
        before = {name: (self._sides[name], self._accounts[name]) for name in ended}
        order = list(self._sides)
        for name in ended:
            await self._end(name)
        try:
            for name in changed:
                self._open(name, sides[name], accounts[name])
        except Exception:
            for name in changed:
                await self._end(name)
            self._keep_only(order)
            for name, (own, account) in before.items():
                self._open(name, own, account)
            raise
        else:
            self._keep_only(list(sides))
        finally:
            for name in self._links.keys() - self._tasks.keys():
                self._start(name)

    def _keep_only(self, names: Sequence[str]) -> None:
        """Know these VTNs, in this order, and no others."""
        self._sides = {name: self._sides[name] for name in names if name in self._sides}
        self._links = {name: self._links[name] for name in names if name in self._links}
        self._last = {name: self._last[name] for name in names if name in self._last}

    def _is_same(self, name: str, own: Settings, account: VtnAccount) -> bool:
        if name not in self._links:
            return False
        before = self._sides[name]
        same = account == self._accounts[name]
        return same and all(own[key] == before[key] for key in own.values if _is_of_vtn(key))

    async def _end(self, name: str) -> None:
        link, task = self._links.pop(name, None), self._tasks.pop(name, None)
        if link is not None:
            self._last[name] = link.snapshot()
        try:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        finally:
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
