"""One Modbus connection to one endpoint, shared by all units behind it.

units        1: a b     5: c      9: d e        each with its own queue, breaker and time-outs
sent         a  c  d  b  e                       a turn for each; one in flight by default

Its units do not harm each other: one that stays silent is left alone for a while (`Breaker`); an answer
counts only with the transaction, unit, function and length that were asked for; a connection that carried
garbage, half a frame or nothing for long is replaced, and what others had asked on it is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from venclient.clock import Clock
from venclient.connectors.modbus_errors import Breaker, again, refusal
from venclient.connectors.modbus_frames import (
    FRAMINGS,
    Answer,
    FramerName,
    Question,
    read_question,
)
from venclient.connectors.modbus_turns import Ask, Found, Turns
from venclient.connectors.modbus_wire import Wire, connect
from venclient.connectors.registers import RegisterKind
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable
from venclient.messages import modbus as mod

LONGEST_TIMEOUT_S = 60.0
#: So many silences in a row, from whichever units, make the connection itself suspect.
SILENCES_BEFORE_RECONNECT = 3


class ModbusLink:
    """The connection to one host and port. Made outside of a loop, connected on first use."""

    def __init__(self, host: str, port: int, clock: Clock, *, framer: FramerName = "tcp") -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self._framing = FRAMINGS[framer]
        self._endpoint = f"modbustcp {host}:{port}"
        #: The endpoint as `ven connections scan` takes it.
        self._scan = host if port == 502 else f"{host} --port {port}"
        #: Whether the transaction id of an answer says which request it belongs to.
        self.by_id = self._framing.tells_apart
        #: A transaction id that the only request in flight did not have, on an answer that fits it otherwise.
        self.foreign_id: int | None = None
        self._depth = 1
        self._paced = False
        self._pause_s = 0.0
        self._connect_delay_s = 0.0
        self._turns = Turns()
        self._in_flight: dict[int, Ask] = {}  # by transaction, the oldest first
        self._transaction = 0
        self._wire: Wire | None = None
        self._door = Breaker(clock, first_s=1.0)
        self._units: dict[int, Breaker] = {}
        self._silences = 0
        self._stray: int | None = None
        self._head_at = 0.0
        self._watch_due = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._pausing: asyncio.Task[None] | None = None

    def pace(self, *, depth: int, pause_s: float, connect_delay_s: float) -> None:
        """Take up one more user's wishes; the most careful of all users' count.

        `depth` requests may be in flight, `pause_s` passes before the next, and `connect_delay_s` after
        connecting.
        """
        if self.by_id:
            self._depth = min(self._depth, depth) if self._paced else depth
        self._paced = True
        self._pause_s = max(self._pause_s, pause_s)
        self._connect_delay_s = max(self._connect_delay_s, connect_delay_s)

    def ignore_transaction_ids(self) -> None:
        """Accept answers with any transaction id, for gateways that send 0 or a constant.

        One request is in flight from now on, and after each silence the connection is replaced: a late answer
        is never taken for that to another request.
        """
        if self.by_id:
            self.by_id = False
            self._depth = 1
            for breaker in self._units.values():
                breaker.succeeded()  # the units may have answered all the time

    async def read(
        self, unit: int, kind: RegisterKind, address: int, count: int, *, timeout_s: float
    ) -> Found:
        """Return the payload of `count` registers (or bits) and the moment it is from; see `exchange`."""
        return await self.exchange(read_question(unit, kind, address, count), timeout_s=timeout_s)

    async def exchange(self, question: Question, *, timeout_s: float, retries: int = 0) -> Found:
        """Return the payload of the answer and its moment, half-way between asking and answer.

        Raises ConnectFailed, ReadTimeout, IllegalAddress, Undecodable, WriteRefused or another
        ConnectorError. A silent unit is asked `retries` more times at once, unless it was silent before.
        """
        breaker = self._units.get(question.unit)
        if breaker is None:
            breaker = self._units[question.unit] = Breaker(self._clock, first_s=3 * timeout_s)
        if breaker.failures:
            breaker.check()
        if self._wire is None:
            self._door.check()
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        ask = Ask(question, breaker, future, timeout_s, retries)
        self._turns.add(ask)
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            self._abandon(ask)
            raise

    def hang_up_if_idle(self) -> None:
        """Close the connection unless it is in use; the next request opens it again."""
        if not self._in_flight and not self._turns:
            self._drop()

    async def close(self) -> None:
        """Close the connection; a later request opens it again."""
        tasks = [task for task in (self._opening, self._pausing) if task is not None]
        self._opening = self._pausing = None
        for task in tasks:
            task.cancel()
        waiting = [*self._in_flight.values(), *self._turns.take_all()]
        self._in_flight.clear()
        self._drop()
        for ask in waiting:
            ask.fail(ConnectFailed(mod.CLOSED(), subject=self._endpoint))
        await asyncio.gather(*tasks, return_exceptions=True)

    # Whose turn it is

    def _put_back(self, asks: Iterable[Ask]) -> None:
        """Have requests sent again, before all others; a write may have been done, so it is not."""
        for ask in reversed(list(asks)):
            if ask.question.writes:
                ask.fail(self._broken(ask))
            else:
                self._turns.put_back(ask)

    def _pump(self) -> None:
        """Send as much as may be sent now."""
        while self._turns and len(self._in_flight) < self._depth and self._pausing is None:
            wire = self._wire
            if wire is not None and not self._in_flight and not wire.clean:
                self._drop()
                wire = None
            if wire is None:
                self._open()
                return
            ask = self._turns.take()
            if ask.future.done():
                continue  # its caller has given up
            try:
                ask.breaker.check()  # the unit may have shown itself silent while this queued
            except ConnectorError as error:
                ask.fail(error)
            else:
                self._send(wire, ask)

    def _send(self, wire: Wire, ask: Ask) -> None:
        while True:
            self._transaction = self._transaction % 0xFFFF + 1  # never 0, which some answer to anything
            if self._transaction not in self._in_flight:
                break
        ask.since_s = self._clock.monotonic()
        self._in_flight[self._transaction] = ask
        if len(self._in_flight) == 1:
            self._stray = self.foreign_id = None
            self._watch_head(ask)
        wire.transport.write(wire.framing.frame(self._transaction, ask.question))

    def _taken(self, transaction: int) -> None:
        """Forget a request that was in flight; the one behind it begins to count from now."""
        head = next(iter(self._in_flight)) == transaction
        del self._in_flight[transaction]
        if head and self._in_flight:
            first = next(iter(self._in_flight.values()))
            first.since_s = self._clock.monotonic()
            self._watch_head(first)

    def _abandon(self, ask: Ask) -> None:
        for transaction, one in list(self._in_flight.items()):
            if one is ask:
                self._taken(transaction)
                if not self.by_id:
                    self._drop()  # its answer could be taken for that to the next question
                self._go_on()

    def _go_on(self) -> None:
        """Send the next, after the pause that the device needs."""
        if self._pause_s:
            if self._pausing is None:
                self._pausing = asyncio.create_task(self._pause(), name=f"pause {self._endpoint}")
        else:
            self._pump()

    async def _pause(self) -> None:
        await self._clock.sleep(self._pause_s)
        self._pausing = None
        self._pump()

    # What comes back

    def answered(self, answer: Answer) -> None:
        """Take an answer from the connection."""
        wire = self._wire
        transaction = answer.transaction
        ask = self._in_flight.get(transaction)
        if ask is None:
            transaction, ask = self._without_id(answer)
        if ask is None or wire is None:
            return  # it is late, and its caller has gone
        question = ask.question
        if answer.unit != question.unit:
            self._stray = answer.unit
            return
        same = answer.function & 0x7F == question.function
        if not same and self._framing.tells_apart:
            return  # late, to another question
        self._taken(transaction)
        self._silences = 0
        wire.served = True
        if answer.function == question.function and (len(answer.data) == question.size or question.size < 0):
            if ask.breaker.failures:
                ask.breaker.succeeded()
            if not ask.future.done():
                took_s = self._clock.monotonic() - ask.since_s
                ask.future.set_result((answer.data, self._clock.now() - timedelta(seconds=took_s / 2)))
        elif same and answer.function != question.function:
            error = refusal(question, answer, self._subject(ask), self._scan)
            if isinstance(error, ReadTimeout):
                ask.breaker.failed(error)
            elif isinstance(error, Undecodable):
                ask.breaker.succeeded()
            ask.fail(error)
        else:
            wrong = Undecodable(
                mod.WRONG_ANSWER(count=len(answer.data) // 2, function=answer.function, place=question.place),
                subject=self._subject(ask),
            )
            ask.breaker.failed(wrong)
            ask.fail(wrong)
        self._go_on()

    def _without_id(self, answer: Answer) -> tuple[int, Ask | None]:
        """Return the request that an answer belongs to whose transaction id is none of those in flight."""
        if not self._in_flight:
            return 0, None
        transaction, head = next(iter(self._in_flight.items()))
        if not self._framing.tells_apart:
            return transaction, head
        if len(self._in_flight) == 1 and answer.answers(head.question):
            if not self.by_id:
                return transaction, head
            self.foreign_id = answer.transaction
        if answer.unit != head.question.unit:
            self._stray = answer.unit
        elif answer.transaction == 0 and self.by_id:
            self._blame(Undecodable(mod.NO_TRANSACTION()))
        return 0, None

    def spoilt(self, what: str) -> None:
        """Take note of bytes that are no Modbus."""
        framing = "TCP" if self._framing.tells_apart else "RTU"
        self._blame(Undecodable(mod.NOT_MODBUS(framing=framing, data=what)))

    def lost(self) -> None:
        """Take note of the end of the connection."""
        wire, head = self._wire, next(iter(self._in_flight.values()), None)
        if wire is not None and wire.served and head is not None and not head.resent:
            head.resent = True  # some devices close a connection that was idle, and say so only now
            self._drop()
        elif head is not None:
            self._blame(self._broken(head))
        else:
            self._drop()
        self._pump()

    def _blame(self, error: ConnectorError) -> None:
        """Fail the oldest request with `error` and replace the connection under the others."""
        if self._in_flight:
            transaction, head = next(iter(self._in_flight.items()))
            self._taken(transaction)
            error.subject = self._subject(head)
            head.breaker.failed(error)
            head.fail(error)
        self._drop()
        self._go_on()

    def _broken(self, ask: Ask) -> ConnectFailed:
        return ConnectFailed(mod.HUNG_UP(scan=self._scan), subject=self._subject(ask))

    def _subject(self, ask: Ask) -> str:
        return f"{self._endpoint} unit {ask.question.unit}"

    # Silence

    def _watch_head(self, head: Ask) -> None:
        """Watch the oldest request in flight: a gateway answers in order, so others wait for it."""
        loop = asyncio.get_running_loop()
        self._head_at = loop.time()
        due = self._head_at + head.timeout_s
        # A timer that comes too early is left in place: it looks, and is set again. Most answers come.
        if self._watch is None or self._watch_due > due:
            self._arm(loop, due)

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch_due = due
        self._watch = loop.call_at(due, self._look)

    def _look(self) -> None:
        self._watch = None
        if not self._in_flight:
            return
        loop = asyncio.get_running_loop()
        transaction, head = next(iter(self._in_flight.items()))
        due = self._head_at + head.timeout_s
        if loop.time() < due - 0.0005:
            self._arm(loop, due)
            return
        self._taken(transaction)
        error = self._silence(head)
        if head.retries and not head.breaker.failures and not head.question.writes:
            head.retries -= 1
            self._put_back([head])
        else:
            head.breaker.failed(error)
            head.fail(error)
        self._go_on()

    def _silence(self, ask: Ask) -> ReadTimeout:
        """Return the error for a request without an answer, and replace a connection that looks dead."""
        self._silences += 1
        partial = self._wire.framing.partial if self._wire is not None else 0
        if partial:
            what = mod.PARTIAL(limit_s=ask.timeout_s, scan=self._scan)
        elif self.foreign_id is not None:
            what = mod.OTHER_TRANSACTION(limit_s=ask.timeout_s, transaction=self.foreign_id)
        elif self._stray is not None:
            what = mod.OTHER_UNIT(limit_s=ask.timeout_s, unit=self._stray, scan=self._scan)
        else:
            what = mod.SILENT(limit_s=ask.timeout_s, scan=self._scan)
        suspect = partial or self._silences >= SILENCES_BEFORE_RECONNECT
        if suspect or not self.by_id:
            self._drop()
        return ReadTimeout(what, subject=self._subject(ask))

    # The connection

    def _open(self) -> None:
        if self._opening is not None:
            return
        try:
            self._door.check()
        except ConnectorError as error:
            self._turn_away(error)
            return
        self._opening = asyncio.create_task(self._connect(), name=f"connect {self._endpoint}")

    async def _connect(self) -> None:
        try:
            wire = await connect(
                self._host,
                self._port,
                self,
                self._framing(),
                clock=self._clock,
                delay_s=self._connect_delay_s,
            )
        except ConnectFailed as error:
            self._opening = None
            self._door.failed(error)
            self._turn_away(error)
        else:
            self._opening = None
            self._door.succeeded()
            self._wire = wire
            self._pump()

    def _turn_away(self, error: ConnectorError) -> None:
        for ask in self._turns.take_all():
            ask.fail(again(error))

    def _drop(self) -> None:
        """Close the connection; what is in flight on it will be asked again."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.drop()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._silences = 0
        flying, self._in_flight = self._in_flight, {}
        self._put_back(flying.values())
