"""OpenADR 3.0.1 on the wire, 3.1 inside: what the older version writes otherwise is translated here.

    member                    3.0.1                                3.1, as the objects have it
    targets                   [{type, values}]                     plain texts: the values
    program                   programLongName, bindingEvents, ...  attributes
    report                    programID, required                  (dropped when written in 3.1)
    event                     intervals required, no duration      optional
    intervalPeriod.start      required; 0000-00-00 is now          optional; 0001-01-01
    reportDescriptor          no reportIntervals                   reportIntervals
    ven, resource             no discriminator; a PUT replaces     objectType; targets stay
                              targets as well
    objectType of a VEN       VEN (RESOURCE of a resource)         BL_VEN_REQUEST, VEN_VEN_REQUEST, ...

Values in PERCENT are not translated, since an event's units may stand in its program: a full one is
100 in 3.0.1 and 1 in 3.1, as the `Dialect` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from venclient.errors import WireError
from venclient.messages import openadr as oad
from venclient.messages.printable import foreign
from venclient.openadr.codec import Codec31, attributes_of, bare_report, checked_name
from venclient.openadr.enumerations import PROGRAM_ATTRIBUTES_OF_3_0, VEN_NAME
from venclient.openadr.objects import (
    Event,
    Program,
    Report,
    ReportDescriptor,
    Subscription,
    ValuesMap,
    Ven,
    VenResource,
)
from venclient.openadr.times import NOW, parse_time

S = TypeVar("S", bound=msgspec.Struct)

#: The type under which a plain text of 3.1 is written as a target.
TARGET_TYPE: Final = "GROUP"
NOW_OF_3_0: Final = "0000-00-00"
#: Stands for targets that name nothing.
_NOTHING: Final = ""

#: What the VTN adds to an object, and is not sent back to it.
_METADATA: Final = ("id", "createdDateTime", "modificationDateTime", "objectType")
_FLAT: Final = {attribute: member for member, attribute in PROGRAM_ATTRIBUTES_OF_3_0.items()}


class _ReportDescriptor(ReportDescriptor, frozen=True, kw_only=True):
    """A wish for reports as 3.0.1 writes it."""

    targets: list[ValuesMap] | None = None  # type: ignore[assignment]  # the older shape


class _Event(Event, frozen=True, kw_only=True):
    """An event as 3.0.1 writes it, for reading whole listings at once."""

    targets: list[ValuesMap] | None = None  # type: ignore[assignment]  # the older shape
    report_descriptors: list[_ReportDescriptor] | None = None  # type: ignore[assignment]


class Codec301(Codec31):
    """OpenADR 3.0.1, and 3.0.0 as far as it is the same; reads 3.1's shapes as well."""

    _required = frozenset({"intervals"})

    def report_request(self, report: Report) -> bytes:
        """Return the body of POST and PUT; WireError without `program_id`, which 3.0.1 requires."""
        if report.program_id is None:
            raise WireError(
                oad.NO_PROGRAM(), subject=f"report {foreign(report.report_name or report.event_id)}"
            )
        return self.encode(bare_report(report))

    def ven_request(
        self, name: str, attributes: Sequence[ValuesMap] | None = None, *, held: bytes | None = None
    ) -> bytes:
        """Return the VEN's object; members of the `held` one (JSON) that are not ours are sent along."""
        return _request({"venName": checked_name(name, "venName")}, attributes, held)

    def resource_request(
        self,
        name: str,
        ven_id: str,
        attributes: Sequence[ValuesMap] | None = None,
        *,
        held: bytes | None = None,
    ) -> bytes:
        """Return a resource's object; members of the `held` one (JSON) that are not ours are sent along."""
        body = {"resourceName": checked_name(name, "resourceName"), "venID": ven_id}
        return _request(body, attributes, held)

    def encode(self, wire: msgspec.Struct) -> bytes:
        """Return the JSON of an object in 3.0.1; the numbers of a report leave as floats."""
        if isinstance(wire, Report):
            return super().encode(replace(wire, client_id=None))
        shape = _WRITERS.get(type(wire))
        return super().encode(wire) if shape is None else msgspec.json.encode(shape(_plain(wire)))

    def _strictly(self, kind: type[S], body: bytes) -> list[S]:
        if kind is Event:
            read: list[Any] = [_event(one) for one in _EVENTS.decode(body)]
            return read
        return super()._strictly(kind, body)

    def _sound(self, kind: type[S], part: Any) -> S | None:
        if kind is Event and isinstance(part, msgspec.Raw):
            try:
                read: Any = _event(_EVENT.decode(part))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return None
            return read  # type: ignore[no-any-return]  # an Event, as was asked for
        return super()._sound(kind, part)


_EVENT = msgspec.json.Decoder(_Event)
_EVENTS = msgspec.json.Decoder(list[_Event])

CODEC_301 = Codec301()


# ---- reading


def _texts(targets: Sequence[ValuesMap] | None) -> list[str] | None:
    if targets is None:
        return None
    texts = [str(value) for target in targets for value in target.values if value is not None]
    # A target without values matches nothing; without any target all would be meant.
    return texts or [_NOTHING for _ in targets]


def _event(read: _Event) -> Event:
    members = {name: getattr(read, name) for name in Event.__struct_fields__}
    members["targets"] = _texts(read.targets)
    members["ven_names"] = _texts([one for one in read.targets or () if one.type == VEN_NAME]) or None
    if read.report_descriptors is not None:
        members["report_descriptors"] = [_descriptor(one) for one in read.report_descriptors]
    return Event(**members)


def _descriptor(read: _ReportDescriptor) -> ReportDescriptor:
    members = {name: getattr(read, name) for name in ReportDescriptor.__struct_fields__}
    return ReportDescriptor(**members | {"targets": _texts(read.targets)})


# ---- writing


def _request(body: dict[str, Any], attributes: Sequence[ValuesMap] | None, held: bytes | None) -> bytes:
    kept: Any = {}
    if held is not None:
        try:
            kept = msgspec.json.decode(held)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireError(oad.HELD_NOT_JSON(problem=foreign(str(error))), subject=str(body)) from None
    if not isinstance(kept, Mapping):
        kept = {}
    merged = {name: value for name, value in kept.items() if name not in _METADATA} | body
    if attributes is not None:
        merged["attributes"] = attributes_of(attributes, next(iter(body.values())))
    return msgspec.json.encode(merged)


def _plain(wire: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(wire)
    return plain


def _targets(plain: dict[str, Any]) -> dict[str, Any]:
    texts = plain.get("targets")
    if texts is not None:
        plain["targets"] = [{"type": TARGET_TYPE, "values": texts}] if texts else []
    return plain


def _program(plain: dict[str, Any]) -> dict[str, Any]:
    plain.pop("venNames", None)
    for one in plain.pop("attributes", None) or ():
        member = _FLAT.get(one["type"])
        if member is not None and one["values"]:
            plain[member] = one["values"][0]
    _started(plain, None)
    return _targets(plain)


def _event_out(plain: dict[str, Any]) -> dict[str, Any]:
    plain.pop("duration", None)
    plain.pop("venNames", None)
    for one in plain.get("reportDescriptors") or ():
        one.pop("reportIntervals", None)
        _targets(one)
    whole = plain.get("intervalPeriod") or {}
    for index, interval in enumerate(plain.setdefault("intervals", [])):
        # On a later interval "now" says what an absent start says in 3.1: straight after the one before.
        _started(interval, whole.get("start") if index == 0 else None)
    _started(plain, None)
    return _targets(plain)


def _started(holder: dict[str, Any], start: str | None) -> None:
    """Fill in the start of a period, which 3.0.1 requires, and spell "now" as it does."""
    period = holder.get("intervalPeriod")
    if period is None:
        return
    written = period.get("start", start)
    try:
        is_now = written is None or parse_time(written) is NOW
    except WireError:
        is_now = False
    period["start"] = NOW_OF_3_0 if is_now else written


def _owned(plain: dict[str, Any]) -> dict[str, Any]:
    """Return an object that 3.1 keeps for one client, without that client."""
    plain.pop("clientID", None)
    return _targets(plain)


def _ven(plain: dict[str, Any]) -> dict[str, Any]:
    if "objectType" in plain:
        plain["objectType"] = "RESOURCE" if "resourceName" in plain else "VEN"
    return _owned(plain)


_WRITERS: Mapping[type[msgspec.Struct], Callable[[dict[str, Any]], dict[str, Any]]] = {
    Program: _program,
    Event: _event_out,
    Subscription: _owned,
    Ven: _ven,
    VenResource: _ven,
    ReportDescriptor: _targets,
}
