"""Which messages of QoS 1 a broker gives again although we have them, by the rules of MQTT.

    sent again on the same connection      its packet number waits for our acknowledgement
    after a reconnect, not acknowledged    the number cannot mean another one before we acknowledge it
    after a reconnect, acknowledged        the acknowledgement may have been lost with the connection: the
                                           same number, topic and payload mean the same message, unless this
                                           broker uses numbers again at once

A process that was killed leaves the marks of its messages in the file of readings (`model/marks.py`): what
comes again to the next one, before the first new message, is looked for there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from venclient.connectors.mqtt_inbox import Message

#: So many acknowledgements may be lost with a connection; more are not on their way at once.
MOST_ACKNOWLEDGED = 1000
#: Payloads beyond this are not kept in memory for it.
LARGE_BYTES = 1024


class Redeliveries:
    """Remembers the messages of a connection, to recognise them when the broker sends them again."""

    def __init__(self) -> None:
        #: Acknowledged on this connection, the oldest first; of a large one the number and digest only.
        self._acknowledged: deque[Message | tuple[int, int]] = deque(maxlen=MOST_ACKNOWLEDGED)
        #: What earlier connections left: the message where it was not acknowledged, else its digest.
        self._left: dict[int, Message | int] = {}
        self._uses_again = False
        self._is_over = True
        self._session = False

    @property
    def is_expected(self) -> bool:
        """True while the broker may send again what an earlier connection of the same session brought."""
        return self._session and not self._is_over

    @property
    def is_settled(self) -> bool:
        """True when no message that was sent before is expected."""
        return self._is_over and not self._left

    def acknowledged(self, message: Message) -> None:
        """Note that a message was acknowledged."""
        large = len(message.payload) > LARGE_BYTES
        self._acknowledged.append((message.number, message.digest()) if large else message)

    def reconnected(self, unacknowledged: Iterable[Message], *, session: bool) -> None:
        """Note a new connection. `session` says whether the broker kept ours; else numbers start again."""
        done = {}
        for one in self._acknowledged:
            number, digest = (one.number, one.digest()) if isinstance(one, Message) else one
            self._uses_again = self._uses_again or number in done
            done[number] = digest
        self._acknowledged.clear()
        self._session = session
        if self._is_over or not session:
            self._left.clear()
        if session:
            self._left.update({} if self._uses_again else done)
            self._left.update({one.number: one for one in unacknowledged})
        self._is_over = False

    def known(self, message: Message, waiting: Iterable[Message]) -> Message | int | None:
        """Return what a message is that was marked as sent again, None for one that is new.

        `waiting` are the messages of this connection that are not acknowledged. A number stands for one
        that was acknowledged before.
        """
        for one in waiting:
            if one.number == message.number:
                return one
        before = self._left.pop(message.number, None)
        digest = before.digest() if isinstance(before, Message) else before
        return before if digest == message.digest() else None

    def is_new(self, message: Message) -> None:
        """Note a message that was not sent before: what was sent before has come by then."""
        self._is_over = True
        self._left.pop(message.number, None)
