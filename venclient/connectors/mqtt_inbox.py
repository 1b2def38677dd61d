"""What crosses from a broker to one resource: messages, the inbox where they wait, what is in the way."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from paho.mqtt.reasoncodes import ReasonCode

from venclient.errors import ConnectFailed, ConnectorError

#: Messages of QoS 0 that wait for a slow store beyond this are dropped: nobody else bounds them.
MOST_WAITING = 10_000

FaultKind = Literal["away", "refused", "topic"]


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
    """Why nothing can come: the broker is away, it refused us, or it refused one topic."""

    kind: FaultKind
    what: str
    hint: str

    def error(self, subject: str) -> ConnectorError:
        """Give the error that tells this fault of one resource."""
        form = ConnectFailed if self.kind == "away" else ConnectorError
        return form(self.what, subject=subject, hint=self.hint)


@dataclass(eq=False, slots=True)
class Message:
    """One message as it came, and how many readers still have to commit it."""

    topic: str
    payload: bytes
    arrival: datetime
    retained: bool
    qos: int
    number: int
    connection: int
    shares: int = 0


class Inbox:
    """What came for one resource: `messages`, and the state of its topic. Lives in the event loop."""

    def __init__(self, topic: str, qos: int) -> None:
        self.topic = topic
        self.qos = qos
        self.messages: deque[Message] = deque()
        self.pending: set[Message] = set()
        self.dropped = 0
        self.granted = False
        self.fault: Fault | None = None
        self.changed = asyncio.Event()

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
