"""What was added to a store and waits for its commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from venclient.errors import StoreError
from venclient.model.reading import Reading
from venclient.readings.aside import Aside

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Added:
    """One `add`, until its commit."""

    readings: Sequence[Reading]
    bookmarks: Mapping[str, str]
    urgent: bool
    since_s: float
    future: asyncio.Future[None]
    aside: Sequence[Aside] = ()


def messages(readings: Sequence[Reading]) -> int:
    """Return how many messages these readings came in: one has one time for all its quantities."""
    if len(readings) < 2:
        return 1
    return len({(reading.resource_id, reading.time) for reading in readings})


async def to_the_end(work: asyncio.Future[T]) -> T:
    """Wait for work that must not be abandoned; a cancellation is passed on only after it."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def fail(future: asyncio.Future[None], error: StoreError) -> None:
    """Pass an error to the caller of an `add` that still waits for its commit.

    Few callers wait for a polled reading: the store itself counts and reports the failure.
    """
    if not future.done():
        future.set_exception(error)
        future.exception()  # else asyncio would report an error that was never asked for
