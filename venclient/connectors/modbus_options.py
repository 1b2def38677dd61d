"""What MODBUSTCP connections say in their options, checked as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.base import Site
from venclient.connectors.blocks import Forbidden, Limits
from venclient.connectors.modbus_frames import FramerName
from venclient.connectors.modbus_link import LONGEST_TIMEOUT_S, ModbusLink
from venclient.connectors.registers import MOST_REGISTERS, QuantityName, Register
from venclient.messages import connectors as con
from venclient.messages import modbus as mod
from venclient.messages.printable import foreign
from venclient.model.resource import Connection

DEFAULT_PORT = 502
PAGE = "docs/connectors/modbus.md"

Seconds = Annotated[float, Meta(ge=0, le=LONGEST_TIMEOUT_S)]


class LinkOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What readers and writers say about the unit and the way to it.

    `timeout_s` is for one request; a unit that falls silent is asked `retries` more times at once.
    `framer` rtu: RTU frames over TCP, as plain serial servers carry them. `pipelining` requests may be
    in flight; `pause_s` passes between two, `connect_delay_s` after connecting. `transaction_ids` ignore: the
    gateway answers with 0 or a constant; one request is in flight then.
    """

    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    timeout_s: Annotated[float, Meta(gt=0, le=LONGEST_TIMEOUT_S)] = 1.0
    retries: Annotated[int, Meta(ge=0, le=5)] = 0
    framer: FramerName = "tcp"
    transaction_ids: Literal["match", "ignore"] = "match"
    pipelining: Annotated[int, Meta(ge=1, le=16)] = 1
    connect_delay_s: Seconds = 0.0
    pause_s: Seconds = 0.0


class Computed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quantity made of others of the same read: what `op` gives, x scale + offset.

    sum; difference: the first minus the rest; product; quotient: the first divided by the rest, without a
    value for a division by zero; absolute: the amount of the only one, without its sign; total: the sum of
    those that have a value. Of the others it has a value only when all of its parts have one. Its parts are
    registers, or computed before it.
    """

    quantity: QuantityName
    op: Literal["sum", "difference", "product", "quotient", "absolute", "total"]
    of: Annotated[list[str], Meta(min_length=1)]
    scale: float = 1.0
    offset: float = 0.0
    hidden: bool = False

    def __post_init__(self) -> None:
        if self.op == "absolute" and len(self.of) != 1:
            raise ValueError(mod.ABSOLUTE_OF_ONE(quantity=self.quantity, count=len(self.of)))
        if self.op == "quotient" and len(self.of) < 2:
            raise ValueError(mod.QUOTIENT_OF_TWO(quantity=self.quantity))


class ModbusOptions(LinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a MODBUSTCP connection that reads says beyond host and port.

    Registers at most `max_gap` apart are read together, at most `max_registers` with one request, and
    never across `forbidden` addresses. `close_after_round` gives the device its connection back.
    """

    registers: Annotated[list[Register], Meta(min_length=1)]
    computed: list[Computed] = msgspec.field(default_factory=list)
    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    max_gap: Annotated[int, Meta(ge=0, le=MOST_REGISTERS)] = 8
    max_registers: Annotated[int, Meta(ge=1, le=MOST_REGISTERS)] = MOST_REGISTERS
    forbidden: list[Forbidden] = msgspec.field(default_factory=list)
    close_after_round: bool = False

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for register in self.registers:
            _once(register.quantity, seen)
            self._check_fits(register)
        for one in self.computed:
            for part in one.of:
                if part not in seen:
                    raise ValueError(mod.COMPUTED_PART(quantity=one.quantity, part=foreign(part)))
            _once(one.quantity, seen)
        if all(one.hidden for one in self.registers) and all(one.hidden for one in self.computed):
            raise ValueError(mod.ALL_HIDDEN())

    def _check_fits(self, register: Register) -> None:
        count = register.last - register.first + 1
        with_factor = "" if register.scale_register is None else mod.WITH_SCALE_REGISTER()
        if count > self.max_registers:
            raise ValueError(
                mod.TOO_MANY_REGISTERS(
                    quantity=register.quantity,
                    count=count,
                    with_factor=with_factor,
                    limit=self.max_registers,
                )
            )
        if not self.limits.allow(register.kind, register.first, register.last):
            raise ValueError(
                mod.FORBIDDEN(
                    quantity=register.quantity,
                    with_factor=with_factor,
                    kind=register.kind,
                    first=register.first,
                    last=register.last,
                )
            )

    @property
    def limits(self) -> Limits:
        """What the plan of requests must keep to."""
        return Limits(self.max_gap, self.max_registers, tuple(self.forbidden))


class WritableRegister(Register, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A register that may be written, with the values (in the quantity's unit) that may be.

    `function` auto: 6 for one register, 16 for several; a coil always takes 5. With `read_back` it is
    read after writing, and must be within `tolerance` (by default half a step of the register).
    """

    min: float
    max: float
    function: Literal["auto", "single", "multiple"] = "auto"
    read_back: bool = True
    tolerance: Annotated[float, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.min <= self.max:
            raise ValueError(mod.MIN_MAX(min=self.min, max=self.max))
        if self.kind not in ("holding", "coil"):
            raise ValueError(mod.WRITE_KIND(kind=self.kind))
        if self.function == "single" and self.words > 1:
            raise ValueError(mod.WRITE_SINGLE(type=self.type, words=self.words))
        if self.type == "string":
            raise ValueError(mod.WRITE_STRING())


class ModbusWriterOptions(LinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a MODBUSTCP connection that writes says beyond host and port."""

    registers: Annotated[list[WritableRegister], Meta(min_length=1)]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for register in self.registers:
            _once(register.quantity, seen)


def _once(quantity: str, seen: set[str]) -> None:
    if quantity in seen:
        raise ValueError(mod.QUANTITY_TWICE(quantity=quantity))
    seen.add(quantity)


def endpoint_of(connection: Connection, problems: list[str]) -> tuple[str, int]:
    """Return host and port; what is wrong with them goes first into `problems`."""
    host = (connection.host or "").strip().lower()
    if not host:
        problems.insert(0, con.HOST_MISSING(device="device"))
    port = DEFAULT_PORT if connection.port is None else connection.port
    if not 1 <= port <= 65535:
        problems.insert(0, con.PORT(port=port))
    return host, port


def acquire_link(
    site: Site, host: str, port: int, options: LinkOptions, *, holder: str
) -> tuple[ModbusLink, str]:
    """Return the link to an endpoint, shared with all others there, and the name to release it by."""
    endpoint = f"modbustcp {host}:{port}"
    link = site.leases.acquire(
        endpoint,
        holder=holder,
        settings=f"framer {options.framer}",
        make=lambda: ModbusLink(host, port, site.clock, framer=options.framer),
        close=ModbusLink.close,
    )
    link.pace(depth=options.pipelining, pause_s=options.pause_s, connect_delay_s=options.connect_delay_s)
    if options.transaction_ids == "ignore":
        link.ignore_transaction_ids()
    return link, endpoint
