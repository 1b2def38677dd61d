"""Push notifications instead of polling: the way that the VTN offers, kept up; reported when there is none.

A notification only wakes the poll, which stays: what has changed is read from the VTN, never from the
message. So a lost, doubled or forged message costs a request at most.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from venclient.client.push_mqtt import MqttChannel
from venclient.client.push_socket import SocketChannel
from venclient.client.push_webhook import WebhookChannel
from venclient.client.ven_client import VenClient
from venclient.clock import Clock
from venclient.errors import VenError
from venclient.messages import client as vtn
from venclient.messages import with_code
from venclient.messages.printable import printable
from venclient.openadr.objects import Notifiers
from venclient.utils import backoff_s

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 300.0
#: A channel that held so long is no longer taken for one that comes and goes.
STEADY_S = 60.0
#: So many of a VTN's broker addresses are tried.
_MOST_BROKERS = 4
_LONGEST_STATE = 400
#: How often a VTN that offers nothing is asked whether it does by now.
ASK_AGAIN_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where this gateway can be called: the public `url`, and where its receiver listens.

    With `cert_file` and `key_file` it serves HTTPS itself; without, something in front of it does.
    """

    url: str
    host: str
    port: int
    cert_file: Path | None = None
    key_file: Path | None = None


class Channel(Protocol):
    """One way of being notified. `run` ends with a VenError when it does not work, or no longer."""

    kind: str

    async def run(self, up: Callable[[], None], wake: Callable[..., None]) -> None:
        """Listen: `up` when it works (also each time it works again), `wake` with each notification."""
        ...


class Push:
    """Keeps a channel up for one VEN, and calls `wake` at each notification and each (re)connection.

    `state` is a sentence for people; `working` says whether polls may be rare.
    """

    def __init__(
        self,
        client: VenClient,
        wake: Callable[[], None],
        clock: Clock,
        *,
        client_name: str,
        webhook: Webhook | None = None,
        registration_changed: Callable[[], None] = lambda: None,
        rng: random.Random | None = None,
    ) -> None:
        self.state = str(vtn.PUSH_NOT_CHECKED())
        self.working = False
        self.notifications = 0
        self._client = client
        self._wake = wake
        self._clock = clock
        self._name = client_name
        self._webhook = webhook
        self._rng = rng or random.Random()  # noqa: S311  jitter, not a secret
        self._failures = 0
        self._registration_changed = registration_changed
        #: Whether the channel that is up depends on a subscription that the VTN keeps.
        self._kept_there = False
        self._moved = asyncio.Event()
        #: Set while the subscription, or the topics, are to be read again.
        self._doubted = asyncio.Event()

    def begin_anew(self) -> None:
        """Return up the channel that is up and take another: the VTN knows our VEN by another id now."""
        self._moved.set()

    def check_again(self) -> None:
        """Read the subscription or the topics at the VTN again; a subscription does not count until then."""
        if not self.working:
            return
        if self._kept_there:
            self.working = False
            self._say(_polling(vtn.PUSH_UNVERIFIED()))
        self._doubted.set()

    async def run(self, ven_id: Callable[[], str]) -> None:
        """Listen for changes for the VEN of this id for as long as possible; goes on until cancelled."""
        while True:
            try:
                wait_s = await self._once(ven_id)
            except VenError as error:
                # The poll says that the VTN has gone.
                self.state, wait_s = _polling(with_code(error.what)), self._next_wait_s()
            except Exception as error:
                # Whatever a VTN answers must not end the gateway.
                what = vtn.PUSH_BUG(
                    url=self._client.notices.url, kind=vtn.ANY_CHANNEL(), error=type(error).__name__
                )
                log.error(what, exc_info=error)
                bug = with_code(vtn.BUG(error=type(error).__name__))
                self.state, wait_s = _polling(bug), self._next_wait_s()
            self.working = False
            await self._clock.sleep(wait_s)

    async def _once(self, ven_id: Callable[[], str]) -> float:
        """Listen as long as a channel works, and give how long to wait after that."""
        notifiers = await self._client.notifiers()
        self._moved.clear()
        channels = self._channels(notifiers, ven_id())
        if not channels:
            self._say(_polling(_why_none(notifiers, webhook=self._webhook is not None)))
            return ASK_AGAIN_S
        reasons = []
        for channel in channels:
            reasons.append(f"{channel.kind}: {with_code(await self._listen(channel))}")
            if self.working:
                break  # it worked and was lost: begin with the best again
        lost, self.working = self.working, False
        self._say(_polling("; ".join(reasons)))
        if lost:
            self._wake()  # a poll that was put off because notifications were expected
        return 0.0 if self._moved.is_set() else self._next_wait_s()

    async def _listen(self, channel: Channel) -> str:
        """Listen until the channel fails, and give why."""
        up_at_s: float | None = None

        def up() -> None:
            nonlocal up_at_s
            self.working = True
            up_at_s = self._clock.monotonic()
            self._kept_there = isinstance(channel, WebhookChannel)
            self._doubted.clear()
            self._say(str(vtn.PUSHED(kind=channel.kind)))
            # What changed without a notification is read now.
            self._wake()

        def wake(message: bytes | str = b"") -> None:
            self.notifications += 1
            if is_about_registration(message):
                self._registration_changed()
            self._wake()

        listening = asyncio.ensure_future(channel.run(up, wake))
        moved = asyncio.ensure_future(self._moved.wait())
        try:
            await asyncio.wait({listening, moved}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                return vtn.PUSH_NEW_ID()
            listening.result()
        except VenError as error:
            return error.what
        except Exception as error:
            what = vtn.PUSH_BUG(url=self._client.notices.url, kind=channel.kind, error=type(error).__name__)
            log.error(what, exc_info=error)
            return vtn.BUG(error=type(error).__name__)
        finally:
            for task in (listening, moved):
                task.cancel()
            await asyncio.gather(listening, moved, return_exceptions=True)
            # One that is lost as soon as it is up waits longer and longer, as one that never comes up does.
            if up_at_s is not None and self._clock.monotonic() - up_at_s >= STEADY_S:
                self._failures = 0
        return vtn.PUSH_ENDED()

    def _channels(self, notifiers: Notifiers | None, ven_id: str) -> Sequence[Channel]:
        """Return the ways to try, in order: what the user set up, MQTT, WebSocket."""
        if notifiers is None:
            return ()
        notices = self._client.notices
        channels: list[Channel] = []
        if self._webhook is not None and notifiers.webhook:
            channels.append(
                WebhookChannel(
                    *(notices, self._name, self._webhook, self._clock),
                    doubted=self._doubted,
                    lost=self._registration_changed,
                )
            )
        if notifiers.mqtt is not None:
            uris = tuple(dict.fromkeys(notifiers.mqtt.uris))[:_MOST_BROKERS]
            channels += [
                MqttChannel(notices, notifiers.mqtt, uri, ven_id, self._clock, doubted=self._doubted)
                for uri in uris
            ]
        if notifiers.websocket:
            channels.append(SocketChannel(notices, self._name, self._clock, doubted=self._doubted))
        return channels

    def _say(self, state: str) -> None:
        if state != self.state:
            log.info(vtn.PUSH_STATE(url=self._client.notices.url, state=state))
            self.state = state

    def _next_wait_s(self) -> float:
        wait_s = backoff_s(self._failures, _FIRST_WAIT_S, _LONGEST_WAIT_S, self._rng)
        self._failures += 1
        return wait_s


class _Notification(msgspec.Struct, rename="camel"):
    object_type: str = ""


def is_about_registration(message: bytes | str) -> bool:
    """Return whether a notification says that a VEN or a resource has changed."""
    try:
        kind = msgspec.json.decode(message, type=_Notification).object_type
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return not {"VEN", "RESOURCE"}.isdisjoint(kind.upper().split("_"))


def _polling(why: str) -> str:
    """Return the state for a reason, which may hold words of a VTN or broker: one line, not too long."""
    return str(vtn.POLLING(reason=printable(why, _LONGEST_STATE)))


def _why_none(notifiers: Notifiers | None, *, webhook: bool) -> str:
    if notifiers is None:
        return vtn.PUSH_NOT_OFFERED()
    if notifiers.webhook and not webhook:
        return vtn.PUSH_WEBHOOK_ONLY()
    return vtn.PUSH_UNKNOWN()
