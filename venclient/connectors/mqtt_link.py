"""One connection to one MQTT broker under one login, shared by all resources behind it.

paho speaks the protocol, `mqtt_traffic.py` moves its bytes; all of it happens in the event loop.

    broker --> paho --> inbox of each resource --> its reader
    broker <-- acknowledgement, in the order of arrival, once every reader has committed its share

A message is acknowledged only on a connection that brought it: after a reconnect the broker gives it again.
Where it is known to be one that we have (`mqtt_again.py`), it is acknowledged and adds nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from venclient.clock import Clock
from venclient.connectors.mistakes import shown
from venclient.connectors.mqtt_again import Redeliveries
from venclient.connectors.mqtt_beacon import Beacon
from venclient.connectors.mqtt_inbox import (
    Endpoint,
    Fault,
    Inbox,
    Message,
    lost,
    refusal,
    unanswered,
    unreachable,
)
from venclient.connectors.mqtt_traffic import Traffic
from venclient.connectors.payload import MOST_BYTES
from venclient.messages import mqtt as mqt
from venclient.messages.printable import foreign

CONNECT_TIMEOUT_S = 3.0
KEEPALIVE_S = 30
#: How long a broker of version 5 keeps our session, and so our messages, while we are away.
SESSION_KEPT_S = 7 * 86_400
#: How many messages may be on their way to us at once (version 5; before, the broker decides).
WINDOW = 1000
#: How long the inbox of a reader that was closed is kept for the next one, while others go on.
FORSAKE_AFTER_S = 30.0
CLOSE_WITHIN_S = 1.5
#: How often it is looked whether an inbox has been silent for too long, at the least.
WATCH_S = 30.0
_TOPICS_REMEMBERED = 10_000


class MqttLink:
    """The link to one broker; made outside of a loop, connected by the first `start()`."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        client_id: str,
        clock: Clock,
        username: str | None = None,
        password: str | None = None,
        context: ssl.SSLContext | None = None,
        keep_session: bool = True,
        has_cert: bool = False,
    ) -> None:
        self._endpoint = endpoint
        #: How TLS is used: not at all, or with a client certificate or without one.
        self._has_cert = None if context is None else has_cert
        self._clock = clock
        self._keep_session = keep_session
        self._v5 = endpoint.protocol == "5"
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._v5 else not keep_session,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
            # Else paho would try an older version by itself, and stop the loop for it.
            reconnect_on_failure=False,
        )
        if username is not None:
            self._client.username_pw_set(username, password)
        if context is not None:
            self._client.tls_set_context(context)
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.suppress_exceptions = True  # a bug in a callback costs one message only
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._traffic = Traffic(self._client, clock, str(endpoint), failed=self._on_connect_fail)
        self.beacon = Beacon(self._client, clock, str(endpoint))
        self._watch: asyncio.Task[None] | None = None
        self._inboxes: list[Inbox] = []
        self._routes: dict[str, tuple[Inbox, ...]] = {}
        self._unwanted: set[str] = set()
        self._unacknowledged: deque[Message] = deque()
        self._again = Redeliveries()
        #: Inboxes whose readers were closed, and what ends the wait for their next reader.
        self._left: dict[Inbox, asyncio.Task[None]] = {}
        self._asked: dict[int, str] = {}
        self._fault: Fault | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._started_s = 0.0
        self._connection = 0
        self._connected = False
        # Which of the connections were answered, and have ended.
        self._greeted = 0
        self._over = 0

    # Called by readers, in the loop

    def attach(self, inbox: Inbox) -> None:
        """Have messages of the inbox's topic put there.

        Attach every inbox before the first `start()`: what a broker kept for us comes at once, and what
        no inbox wants is let go.
        """
        own = [box for box in self._left if box.resource_id == inbox.resource_id]
        if not any(box.topic == inbox.topic for box in own):
            # What came for others since they were closed: they may have had this topic until now.
            for left in self._left:
                if left not in own:
                    inbox.share(left)
        for left in own:
            inbox.take_over(left)
            self._left[left].cancel()
            # Others that are opened in the same step may get its topic, and what came for that meanwhile.
            asyncio.get_running_loop().call_soon(self._let_go_of, left)
        self._inboxes.append(inbox)
        inbox.fault = self._fault
        self._routes.clear()
        if self._connected:
            self._acknowledge_complete()
            self._subscribe([inbox])

    def detach(self, inbox: Inbox) -> None:
        """Stop serving an inbox. What it has not committed stays unacknowledged: the broker keeps it.

        The subscription stays as well, and nothing is missed until the next start. When the link lives on
        for others, the inbox goes on collecting for a while: the next inbox of the same resource takes over
        what it holds. Without one its messages are let go, else they would block the others' window.
        """
        if inbox not in self._inboxes or inbox in self._left:
            return
        if self._loop is None or len(self._inboxes) == len(self._left) + 1:
            self._inboxes.remove(inbox)
            self._routes.clear()
            return
        task = self._loop.create_task(self._forsake(inbox), name=f"{self._endpoint} forsake")
        self._left[inbox] = task

    def start(self) -> None:
        """Connect, the first time this is called; returns at once."""
        if self._loop is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._started_s = self._clock.monotonic()
        host, port = self._endpoint.host, self._endpoint.port
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = WINDOW
            if self._keep_session:
                properties.SessionExpiryInterval = SESSION_KEPT_S
            self._client.connect_async(
                host, port, KEEPALIVE_S, clean_start=not self._keep_session, properties=properties
            )
        else:
            self._client.connect_async(host, port, KEEPALIVE_S)
        self.beacon.start()
        self._watch = self._loop.create_task(self._watch_silence(), name=f"{self._endpoint} watch")
        self._traffic.start()

    @property
    def was_connected(self) -> bool:
        """True once the broker has let us in."""
        return self._connection > 0

    @property
    def started_s(self) -> float:
        """When the link was started, by the clock's monotonic time."""
        return self._started_s

    def done(self, inbox: Inbox, messages: Sequence[Message]) -> None:
        """Note that one reader has committed its share of these; acknowledge what is complete, in order."""
        for message in messages:
            if message in inbox.pending:
                inbox.pending.discard(message)
                message.shares -= 1
        self._acknowledge_complete()

    async def close(self) -> None:
        """Leave the broker, which keeps the session; returns within about a second."""
        if self._closed:
            return
        self._closed = True
        for task in (*self._left.values(), *((self._watch,) if self._watch else ())):
            task.cancel()
        self.beacon.close()
        if self._loop is not None:
            await self._traffic.close(CLOSE_WITHIN_S)
        self._connected = False

    # What comes, and what becomes of it

    def _route(self, message: Message, *, again: bool) -> None:
        inboxes = self._routes.get(message.topic)
        if inboxes is None:
            inboxes = tuple(box for box in self._inboxes if box.topics.takes(message.topic))
            if len(self._routes) >= _TOPICS_REMEMBERED:
                self._routes.clear()
            self._routes[message.topic] = inboxes
        takers = inboxes
        if again and self._connection == 1 and self._again.is_expected:
            # The process before this one was killed between its commit and the acknowledgement.
            takers = tuple(box for box in inboxes if not box.has_stored(message))
        message.shares = len(takers)
        if message.qos > 0:
            self._unacknowledged.append(message)
        for inbox in takers:
            if not inbox.put(message):
                message.shares -= 1
        if not takers:
            self._acknowledge_complete()
        if not inboxes:
            covering = [box for box in self._inboxes if box.topics.covers(message.topic)]
            for inbox in covering:
                inbox.note_other(message.topic)
            if not covering:
                self._let_go(message.topic)

    def _is_known(self, message: Message) -> bool:
        """Return True if we have a message that was sent again; it is acknowledged once it is stored."""
        known = self._again.known(message, self._unacknowledged)
        if known is None:
            return False
        if not isinstance(known, Message):
            known = message  # with no shares: stored before
        if known.connection != self._connection or known is message:
            known.connection = self._connection
            self._unacknowledged.append(known)
            self._acknowledge_complete()
        return True

    def _let_go(self, topic: str) -> None:
        # The session remembers topics of resources that are gone; a retained or kept message shows them.
        if (
            topic
            and topic not in self._unwanted
            and len(self._unwanted) < _TOPICS_REMEMBERED
            and not self._closed
        ):
            self._unwanted.add(topic)
            self._client.unsubscribe(topic)

    def _acknowledge_complete(self) -> None:
        queue = self._unacknowledged
        while queue and (queue[0].shares <= 0 or queue[0].connection != self._connection):
            message = queue.popleft()
            if self._connected and message.connection == self._connection:
                self._client.ack(message.number, message.qos)
                self._again.acknowledged(message)

    async def _forsake(self, inbox: Inbox) -> None:
        await self._clock.sleep(FORSAKE_AFTER_S)
        self._let_go_of(inbox)

    def _let_go_of(self, inbox: Inbox) -> None:
        if self._left.pop(inbox, None) is None:
            return
        self._inboxes.remove(inbox)
        self._routes.clear()
        self.done(inbox, tuple(inbox.pending))

    async def _watch_silence(self) -> None:
        """Wake a reader whose topic has been silent for too long."""
        while True:
            now_s = self._clock.monotonic()
            wait_s = WATCH_S
            for inbox in self._inboxes:
                until_s = inbox.quiet_until()
                if until_s is not None and until_s <= now_s:
                    inbox.changed.set()
                elif until_s is not None:
                    wait_s = min(wait_s, until_s - now_s)
            await self._clock.sleep(wait_s)

    def _now_connected(self, *, session: bool) -> None:
        self._again.reconnected(self._unacknowledged, session=session)
        self._asked.clear()
        self._fault = None
        for inbox in self._inboxes:
            inbox.fault = None
        self._acknowledge_complete()
        self._subscribe(self._inboxes)
        self.beacon.connected()

    def _now_faulty(self, fault: Fault) -> None:
        self._fault = fault
        self.beacon.lost()
        for inbox in self._inboxes:
            inbox.granted = False
            inbox.fault = fault
            inbox.changed.set()

    def _subscribe(self, inboxes: list[Inbox]) -> None:
        wanted: dict[str, int] = {}
        for inbox in inboxes:
            wanted[inbox.topic] = max(inbox.qos, wanted.get(inbox.topic, 0))
        # One topic each: a broker that refuses one must not take the others with it.
        for topic, qos in wanted.items():
            if self._v5:
                # Retained messages only when the subscription is new, not after every reconnect.
                options = SubscribeOptions(qos=qos, retainHandling=1 if self._keep_session else 0)
                _, number = self._client.subscribe(topic, options=options)
            else:
                _, number = self._client.subscribe(topic, qos)
            if number is not None:
                self._asked[number] = topic

    def _now_subscribed(self, number: int, refusal: str) -> None:
        topic = self._asked.pop(number, None)
        for inbox in self._inboxes:
            if inbox.topic != topic:
                continue
            inbox.granted = not refusal
            inbox.heard_s = self._clock.monotonic()
            if refusal:
                what = mqt.TOPIC_REFUSED(topic=shown(inbox.topic), reason=foreign(refusal))
                inbox.fault = Fault("topic", what)
            inbox.changed.set()

    # Called by paho

    def _on_connect(
        self, _client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        self._greeted = self._traffic.opened
        if reason.is_failure:
            self._now_faulty(refusal(reason))
            return
        self._connection += 1
        self._connected = True
        self._traffic.accepted()
        self._now_connected(session=flags.session_present)

    def _on_connect_fail(self, error: BaseException) -> None:
        self._now_faulty(unreachable(error, self._clock.now(), has_cert=bool(self._has_cert)))

    def _on_disconnect(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _more: Properties | None,
    ) -> None:
        was_connected, self._connected = self._connected, False
        if self._closed or self._over == self._traffic.opened:
            return  # paho may report one end twice
        self._over = self._traffic.opened
        if was_connected:
            self._now_faulty(lost(reason))
        elif self._greeted != self._over:
            self._now_faulty(unanswered(reason, self._clock.now(), has_cert=self._has_cert))

    def _on_subscribe(
        self, _client: Client, _data: Any, number: int, reasons: list[ReasonCode], _more: Properties | None
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._now_subscribed(number, refused[0] if refused else "")

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # matches no inbox: acknowledged and let go
        self._traffic.took()
        size = len(message.payload)
        taken = Message(
            topic,
            # What no inbox will read must not fill the memory while it waits.
            bytes(message.payload) if size <= MOST_BYTES else b"",
            self._clock.now(),
            message.retain,
            message.qos,
            message.mid,
            self._connection,
            oversize=size if size > MOST_BYTES else 0,
        )
        if message.qos > 0:
            if message.dup:
                if self._is_known(taken):
                    return
            elif not self._again.is_settled:
                self._again.is_new(taken)
        self._route(taken, again=message.dup)
