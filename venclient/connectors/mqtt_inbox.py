"""What crosses from a broker to one resource: messages, the inbox where they wait, what is in the way."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from paho.mqtt.reasoncodes import ReasonCode

from venclient.connectors.mqtt_topics import TopicFilter
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout

#: Messages of QoS 0 that wait for a slow store beyond this are dropped: nobody else bounds them.
MOST_WAITING = 10_000

#: So many levels of other devices are kept, to be told where ours stays silent.
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
    what: str
    hint: str

    def error(self, subject: str) -> ConnectorError:
        """Give the error that tells this fault of one resource."""
        forms = {"away": ConnectFailed, "silent": ReadTimeout}
        return forms.get(self.kind, ConnectorError)(self.what, subject=subject, hint=self.hint)


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


class Inbox:
    """What came for one resource: `messages`, and the state of its topic. Lives in the event loop."""

    def __init__(self, topics: TopicFilter, qos: int, *, silence_s: float = 0.0) -> None:
        self.topics = topics
        self.topic = topics.topic
        self.qos = qos
        self.messages: deque[Message] = deque()
        self.pending: set[Message] = set()
        self.dropped = 0
        self.granted = False
        self.fault: Fault | None = None
        self.changed = asyncio.Event()
        self.heard_s = 0.0
        self._silence_s = silence_s
        self._others: set[str] = set()

    def note_other(self, topic: str) -> None:
        """Remember a device whose messages come by the same filter and are not ours."""
        if len(self._others) < _OTHERS_KEPT:
            self._others.add(self.topics.said(topic))

    def quiet_until(self) -> float | None:
        """Give until when (monotonic) silence is no fault, None for ever."""
        return self.heard_s + self._silence_s if self._silence_s and self.granted else None

    def silence(self, now_s: float) -> Fault | None:
        """Give the fault that nothing has come for too long, None while it has not been too long."""
        until_s = self.quiet_until()
        if until_s is None or now_s < until_s:
            return None
        hint = (
            "check that the device is on and sends to this topic, and that the broker's access list lets "
            "this login read it: a broker may accept a topic that it never serves"
        )
        if self._others:
            seen = ", ".join(map(repr, sorted(self._others)))
            hint = f"others come by this topic ({seen}), not {self.topics.text!r}: compare match with them"
        return Fault("silent", f"nothing has come on {self.topic!r} for {self._silence_s:g} s", hint)

    def put(self, message: Message) -> bool:
        """Take a message, unless too many wait and nobody keeps it for us."""
        self.changed.set()
        if message.qos == 0 and len(self.messages) >= MOST_WAITING:
            self.dropped += 1
            return False
        self.messages.append(message)
        self.pending.add(message)
        return True


def refusal(reason: ReasonCode) -> Fault:
    """Say why a broker refused the connection (MQTT 3.1.1 section 3.2.2.3, MQTT 5 section 3.2.2.2)."""
    hints = {
        132: "set protocol to the version that the broker speaks",
        133: "the broker does not like our client id: give the gateway another one",
        134: "check username and password of the connection",
        135: "check username and password, and that the broker lets this login in",
        136: "the broker is busy or shutting down; it is tried again",
    }
    hint = hints.get(reason.value, "look into the broker's log")
    return Fault("refused", f"the broker refuses the connection ({reason})", hint)


def lost(reason: ReasonCode) -> Fault:
    """Say why a connection ended; only a broker of version 5 tells (MQTT 5 section 3.14.2.1)."""
    hints = {
        135: "the broker no longer lets this login in, or not to this topic: check password and access list",
        139: "the broker is shutting down; it is tried again",
        142: "another program uses our client id: give each gateway a name of its own",
        151: "the broker's quota for this login is used up",
        152: "an administrator ended the connection",
    }
    usual = "it is tried again; check that the broker runs and that no other program uses our client id"
    hint = hints.get(reason.value, usual)
    return Fault("away", f"the connection to the broker was lost{_why(reason)}", hint)


def _why(reason: ReasonCode) -> str:
    """Give the reason in brackets, nothing where there is none: before version 5 no broker tells."""
    return "" if reason.value == _UNSPECIFIED else f" ({reason})"


def unanswered(reason: ReasonCode) -> Fault:
    """Say that something hung up before it let us in, as what is no broker does."""
    what = f"the connection was ended before the broker let us in{_why(reason)}"
    return Fault("away", what, "check port, tls and protocol: something else may listen there")


def unreachable(error: BaseException | None) -> Fault:
    """Say why a broker could not be reached."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted: {error.verify_message}"
        return Fault("refused", reason, "give the authority that signed it as ca_file, or correct the host")
    if isinstance(error, ssl.SSLError):
        reason = f"TLS fails ({error.reason or error})"
        return Fault("away", reason, "check port and tls, and that the broker takes our certificate")
    reason = str(error) if error is not None and str(error) else "no answer"
    return Fault("away", f"the broker cannot be reached ({reason})", "check host and port, and that it runs")
