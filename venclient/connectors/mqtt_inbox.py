"""What crosses from a broker to one resource: messages, the inbox where they wait, what is in the way."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zlib import crc32

from paho.mqtt.reasoncodes import ReasonCode

from venclient.connectors.mistakes import shown
from venclient.connectors.mqtt_topics import TopicFilter
from venclient.connectors.payload_keys import keys_of
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout
from venclient.messages import Text, text_of
from venclient.messages import mqtt as mqt
from venclient.messages.printable import foreign
from venclient.model.marks import mark_of
from venclient.tls_failures import broker_side

#: Limit of QoS 0 messages that wait for a slow store; later ones are dropped. Nothing else bounds them.
MOST_WAITING = 10_000

#: Number of other devices' levels that are kept, to be shown where ours stays silent.
_OTHERS_KEPT = 3

_UNSPECIFIED = 128

FaultKind = Literal["away", "refused", "topic", "silent"]


@dataclass(frozen=True)
class Endpoint:
    """Where a broker is and how we come in. Shows no secret."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    protocol: str
    tls: tuple[object, ...] | None

    def __str__(self) -> str:
        login = f" as {self.username}" if self.username else ""
        return f"mqtt {self.host}:{self.port}{login}"


@dataclass(frozen=True)
class Fault:
    """Why nothing comes: the broker is away, it refused us or one topic, or there is only silence."""

    kind: FaultKind
    what: Text

    def error(self, subject: str) -> ConnectorError:
        """Return the error that reports this fault of one resource."""
        forms = {"away": ConnectFailed, "silent": ReadTimeout}
        return forms.get(self.kind, ConnectorError)(self.what, subject=subject)


@dataclass(eq=False, slots=True)
class Message:
    """One message as it came, and how many readers still have to commit it.

    `oversize` is how many bytes a payload had that was not kept, 0 for one that is whole.
    """

    topic: str
    payload: bytes
    arrival: datetime
    retained: bool
    qos: int
    number: int
    connection: int
    shares: int = 0
    oversize: int = 0

    def mark(self) -> int:
        """Return what the message is known by in the file, also after a restart: its number and content."""
        return mark_of(self.number, crc32(self.payload, crc32(self.topic.encode("utf-8", "replace"))))

    def digest(self) -> int:
        """Return a number that differs for other topics and payloads; it means nothing to other processes."""
        return hash((self.topic, self.payload, self.oversize))


class Inbox:
    """What came for one resource: `messages`, and the state of its topic. Lives in the event loop."""

    def __init__(
        self,
        topics: TopicFilter,
        qos: int,
        *,
        silence_s: float = 0.0,
        resource_id: str = "",
        wanted: Sequence[str] = (),
        is_stored: Callable[[str, int], bool] = lambda _id, _mark: False,
    ) -> None:
        self.resource_id = resource_id
        self._is_stored = is_stored
        #: The paths of the values, as options name them.
        self.wanted = [foreign(path) for path in wanted]
        self.topics = topics
        self.topic = topics.topic
        self.qos = qos
        self.messages: deque[Message] = deque()
        self.pending: set[Message] = set()
        self.dropped = 0
        self.granted = False
        self.fault: Fault | None = None
        self.changed = asyncio.Event()
        #: When the last value came, or the subscription began (monotonic).
        self.heard_s = 0.0
        #: The last message since then that held no value, None while there was none.
        self.valueless: Message | None = None
        self._silence_s = silence_s
        self._others: set[str] = set()

    def has_stored(self, message: Message) -> bool:
        """Return whether the readings of a message are in the file, by a process before this one."""
        return self._is_stored(self.resource_id, message.mark())

    def note_other(self, topic: str) -> None:
        """Remember a device whose messages come by the same filter and are not ours."""
        if len(self._others) < _OTHERS_KEPT:
            self._others.add(self.topics.said(topic))

    def quiet_until(self) -> float | None:
        """Return until when (monotonic) silence is allowed, None for ever."""
        return self.heard_s + self._silence_s if self._silence_s and self.granted else None

    def silence(self, now_s: float) -> Fault | None:
        """Return the fault that no value has come for too long, None while it has not been too long."""
        until_s = self.quiet_until()
        if until_s is None or now_s < until_s:
            return None
        topic, limit_s = shown(self.topic), self._silence_s
        if self.valueless is not None:
            payload = self.valueless.payload
            if keys := keys_of(payload):
                said = mqt.SILENT_KEYS(topic=topic, limit_s=limit_s, keys=keys, wanted=self.wanted)
            else:
                said = mqt.SILENT_PAYLOAD(topic=topic, limit_s=limit_s, payload=shown(payload[:200]))
            return Fault("silent", said)
        if self._others:
            others = [shown(one) for one in sorted(self._others)]
            wanted = shown(self.topics.text)
            return Fault(
                "silent", mqt.SILENT_OTHERS(topic=topic, limit_s=limit_s, others=others, wanted=wanted)
            )
        return Fault("silent", mqt.SILENT(topic=topic, limit_s=limit_s))

    def take_over(self, other: Inbox) -> None:
        """Take what another inbox of this resource has not committed, and leave other topics there."""
        unread = list(other.messages)
        handed = sorted(other.pending.difference(unread), key=lambda one: one.arrival)
        other.messages.clear()
        for message in (*handed, *unread):
            if not self.topics.takes(message.topic):
                other.messages.append(message)
                continue
            other.pending.discard(message)
            if message in self.pending or not self.put(message):
                message.shares -= 1

    def share(self, other: Inbox) -> None:
        """Take what another resource's inbox got of our topic and did not read; both commit it."""
        for message in other.messages:
            if self.topics.takes(message.topic) and message not in self.pending and self.put(message):
                message.shares += 1

    def heard(self, now_s: float) -> None:
        """Note that a value came: messages without one do not end a silence."""
        self.heard_s = now_s
        self.valueless = None

    def put(self, message: Message) -> bool:
        """Take a message, unless too many wait and the broker does not keep it for us."""
        self.changed.set()
        if message.qos == 0 and len(self.messages) >= MOST_WAITING:
            self.dropped += 1
            return False
        self.messages.append(message)
        self.pending.add(message)
        return True


def refusal(reason: ReasonCode) -> Fault:
    """Say why a broker refused the connection (MQTT 3.1.1 section 3.2.2.3, MQTT 5 section 3.2.2.2)."""
    messages = {
        132: mqt.REFUSED_VERSION,
        133: mqt.REFUSED_CLIENT_ID,
        134: mqt.REFUSED_PASSWORD,
        135: mqt.REFUSED_LOGIN,
        136: mqt.REFUSED_BUSY,
    }
    return Fault("refused", messages.get(reason.value, mqt.REFUSED)(reason=foreign(str(reason))))


def lost(reason: ReasonCode) -> Fault:
    """Say why a connection ended; only a broker of version 5 sends a reason (MQTT 5 section 3.14.2.1)."""
    messages = {
        135: mqt.LOST_LOGIN,
        139: mqt.LOST_SHUTDOWN,
        142: mqt.LOST_CLIENT_ID,
        151: mqt.LOST_QUOTA,
        152: mqt.LOST_ADMIN,
    }
    return Fault("away", messages.get(reason.value, mqt.LOST)(reason=_why(reason)))


def _why(reason: ReasonCode) -> str:
    """Return the reason in brackets, "" where there is none: before version 5 no broker sends one."""
    return "" if reason.value == _UNSPECIFIED else f" ({reason})"


def unanswered(reason: ReasonCode, now: datetime, *, has_cert: bool | None = None) -> Fault:
    """Say that the other side hung up before it let us in, as servers other than brokers do.

    `has_cert` says whether a client certificate was shown, None for a connection without TLS. With TLS 1.3 a
    broker that refuses it hangs up after the handshake.
    """
    if has_cert:
        return Fault("away", broker_side(has_cert=True).lost(str(reason), now))
    message = mqt.UNANSWERED if has_cert is None else mqt.UNANSWERED_TLS
    return Fault("away", message(reason=_why(reason)))


def unreachable(error: BaseException | None, now: datetime, *, has_cert: bool = False) -> Fault:
    """Say why a broker could not be reached; `has_cert` says that a client certificate was shown to it."""
    if (of_tls := broker_side(has_cert=has_cert).text(error, now)) is not None:
        return Fault("refused", of_tls)
    if isinstance(error, ssl.SSLError):
        return Fault("away", mqt.TLS_FAILED(reason=foreign(error.reason or str(error))))
    reason = foreign(text_of(error)) if error is not None and str(error) else mqt.NOTHING_SAID()
    return Fault("away", mqt.UNREACHABLE(reason=reason))
