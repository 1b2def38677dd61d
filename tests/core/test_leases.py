"""Leases: one link per endpoint, closed behind the last holder."""

from __future__ import annotations

import pytest

from venclient.connectors.leases import Leases
from venclient.errors import ConfigError


class Link:
    """A link that remembers whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        """Remember."""
        self.closed = True


def acquire(leases: Leases, holder: str, settings: object = 1) -> Link:
    """Take the link to one endpoint."""
    return leases.acquire("host:502", holder=holder, settings=settings, make=Link, close=Link.close)


async def test_two_resources_behind_one_endpoint_share_a_link() -> None:
    """The second holder gets the first one's link, and the last to leave closes it."""
    leases = Leases()
    first, second = acquire(leases, "a"), acquire(leases, "b")

    assert first is second
    await leases.release("host:502", holder="a")
    after_one = first.closed
    await leases.release("host:502", holder="b")

    assert (after_one, first.closed) == (False, True)
    assert leases.holders("host:502") == frozenset()


async def test_releasing_twice_does_no_harm() -> None:
    """A holder that is gone already is ignored, and others keep their link."""
    leases = Leases()
    link = acquire(leases, "a")
    acquire(leases, "b")
    await leases.release("host:502", holder="a")
    await leases.release("host:502", holder="a")

    assert not link.closed


def test_other_link_settings_are_refused_naming_the_holders() -> None:
    """Two resources cannot want one endpoint in two ways: the message names both and who holds it."""
    leases = Leases()
    acquire(leases, "meter-1", settings="timeout 1 s")

    with pytest.raises(
        ConfigError, match=r"meter-2: host:502 .*timeout 1 s .by meter-1.*timeout 9 s.*VEN-CON-006"
    ):
        acquire(leases, "meter-2", settings="timeout 9 s")
