"""One link per endpoint, shared and counted: many resources behind one gateway or broker share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from venclient.errors import ConfigError
from venclient.messages import connectors as con

T = TypeVar("T")


@dataclass
class _Held(Generic[T]):
    link: T
    settings: object
    close: Callable[[T], Awaitable[None]]
    holders: Counter[str]


class Leases:
    """Links in use, by endpoint; the last holder to release one closes it."""

    def __init__(self) -> None:
        self._held: dict[Hashable, _Held[Any]] = {}

    def acquire(
        self,
        endpoint: Hashable,
        *,
        holder: str,
        settings: object,
        make: Callable[[], T],
        close: Callable[[T], Awaitable[None]],
    ) -> T:
        """Return the link to `endpoint`, made on first use.

        ConfigError, naming the other holders, when they use other `settings`; these show in the
        message, so they must not hold a secret.
        """
        held = self._held.get(endpoint)
        if held is None:
            held = self._held[endpoint] = _Held(make(), settings, close, Counter())
        elif held.settings != settings:
            raise ConfigError(
                con.LINK_IN_USE(
                    endpoint=endpoint, held=held.settings, others=sorted(held.holders), wanted=settings
                ),
                subject=holder,
            )
        held.holders[holder] += 1  # a holder may have several readers and writers on one link
        return cast("T", held.link)

    async def release(self, endpoint: Hashable, *, holder: str) -> None:
        """Release the link; closes it behind the last holder. Unknown holders are ignored."""
        held = self._held.get(endpoint)
        if held is None or holder not in held.holders:
            return
        held.holders[holder] -= 1
        held.holders += Counter()  # forgets whom the count has brought to zero
        if not held.holders:
            del self._held[endpoint]
            await held.close(held.link)

    def holders(self, endpoint: Hashable) -> frozenset[str]:
        """Return the holders that use the endpoint now."""
        held = self._held.get(endpoint)
        return frozenset(held.holders) if held else frozenset()
