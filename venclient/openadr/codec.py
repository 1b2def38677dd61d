"""JSON to wire objects and back, for OpenADR 3.1; the only place that knows how the wire looks.

One bad object in a list is named and left out, and never hides the others. Another version or
dialect is another `Codec` beside this one: the objects stay, the client is handed the codec.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from venclient.errors import WireError
from venclient.messages import Text
from venclient.messages import openadr as oad
from venclient.messages.printable import foreign
from venclient.openadr import objects
from venclient.openadr.enumerations import (
    INTEGER_PAYLOADS,
    REPORT_PAYLOAD_DESCRIPTOR,
    RESOURCE_REQUEST,
    VEN_REQUEST,
)
from venclient.openadr.lenience import Ignored, without_wrong_members
from venclient.openadr.objects import Interval, Report, ReportResource, Value, ValuesMap
from venclient.openadr.shapes import straighten

S = TypeVar("S", bound=msgspec.Struct)

#: A longer listing is decoded object by object.
AT_ONCE_BYTES = 2**20

#: Kinds by the name that messages use.
KINDS: Mapping[str, type[msgspec.Struct]] = {
    "program": objects.Program,
    "event": objects.Event,
    "report": objects.Report,
    "ven": objects.Ven,
    "resource": objects.VenResource,
    "subscription": objects.Subscription,
    "payload_descriptor": objects.PayloadDescriptor,
    "report_descriptor": objects.ReportDescriptor,
    "interval": objects.Interval,
    "notifiers": objects.Notifiers,
    "auth_server": objects.AuthServer,
    "token": objects.TokenAnswer,
    "token_error": objects.TokenError,
    "problem": objects.Problem,
}
_NAMES = {kind: name for name, kind in KINDS.items()}

#: Kinds of which the strict reading would silently drop members that `straighten` knows.
_ALWAYS_STRAIGHTENED = frozenset({objects.Program, objects.PayloadDescriptor, objects.Subscription})

#: Digits of an integer that fits into 64 bits, whatever they are.
_MOST_DIGITS = 18

#: How many ignored members of one object are named.
_NAMED = 5

_PARTS = msgspec.json.Decoder(list[msgspec.Raw])

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Refused(msgspec.Struct, frozen=True):
    """An object that was left out: where it stood, why, and its id when it has one."""

    place: str
    reason: str
    id: str | None = None


class Decoded(msgspec.Struct, Generic[S], frozen=True):
    """A list as far as it could be read; `ids` holds the id of every element, refused ones too, in order.

    `ignored` names objects that were read without members of the wrong type.
    """

    items: list[S]
    refused: list[Refused]
    ids: list[str | None]
    ignored: list[Refused] = []


class Codec(Protocol):
    """What the client asks of a version or dialect."""

    def decode_list(self, kind: type[S], body: bytes) -> Decoded[S]:
        """Return the objects of a listing; WireError only when the body is not a list at all."""
        ...

    def decode(self, kind: type[S], raw: bytes | Mapping[str, Any]) -> S:
        """Return one object; WireError names the member that is wrong."""
        ...

    def report_request(self, report: Report) -> bytes:
        """Return the body that creates or replaces a report."""
        ...

    def ven_request(
        self, name: str, attributes: Sequence[ValuesMap] | None = None, *, held: bytes | None = None
    ) -> bytes:
        """Return the body that creates the VEN's own object, or replaces the one `held` at the VTN (JSON)."""
        ...

    def resource_request(
        self,
        name: str,
        ven_id: str,
        attributes: Sequence[ValuesMap] | None = None,
        *,
        held: bytes | None = None,
    ) -> bytes:
        """Return the body that creates a resource, or replaces the one `held` at the VTN (JSON)."""
        ...

    def encode(self, wire: msgspec.Struct) -> bytes:
        """Return the JSON of any object."""
        ...


class Codec31:
    """OpenADR 3.1.0 and 3.1.1, reading 3.0's shapes as well."""

    #: Members that this version requires besides those that every version does.
    _required: Collection[str] = ()

    def decode_list(self, kind: type[S], body: bytes) -> Decoded[S]:
        """Return the objects of a listing; WireError only when the body is no JSON list."""
        try:
            if len(body) > AT_ONCE_BYTES:
                raise msgspec.ValidationError(kind.__name__)  # object by object: other threads run meanwhile
            items = self._strictly(kind, body)
        except _UNREADABLE:
            pass  # the slow way names what is wrong
        else:
            return Decoded(items, [], [_text_id(getattr(item, "id", None)) for item in items])
        name = _NAMES.get(kind, kind.__name__)
        decoded: Decoded[S] = Decoded([], [], [])
        for index, part in enumerate(_parts(body, f"list of {name}s")):
            place = f"{name}s[{index}]"
            item, raw = self._sound(kind, part), None
            if item is None:
                raw = _json(bytes(part), place) if isinstance(part, msgspec.Raw) else part
            id_ = _text_id(getattr(item, "id", None) if raw is None else _member(raw, "id"))
            decoded.ids.append(id_)
            named = place + (f" (id {id_!r})" if id_ else "")
            ignored: Ignored = []
            try:
                decoded.items.append(self._convert(kind, raw, place, ignored) if item is None else item)
            except WireError as error:
                decoded.refused.append(Refused(named, error.what, id_))
                continue
            if ignored:
                decoded.ignored.append(Refused(named, _ignored_text(ignored), id_))
        return decoded

    def decode(self, kind: type[S], raw: bytes | Mapping[str, Any]) -> S:
        """Return one object from bytes or decoded JSON; WireError names the member that is wrong."""
        name = _NAMES.get(kind, kind.__name__)
        if not isinstance(raw, bytes):
            return self._convert(kind, raw, name)
        if kind not in _ALWAYS_STRAIGHTENED:
            try:
                found: S = _decoder(kind).decode(raw)
            except _UNREADABLE:
                pass  # the slow way straightens, or names what is wrong
            else:
                return found
        return self._convert(kind, _json(raw, name), name)

    def _strictly(self, kind: type[S], body: bytes) -> list[S]:
        """Return a listing whose objects have the exact shape; a msgspec error when one has not."""
        if kind in _ALWAYS_STRAIGHTENED:
            raise msgspec.ValidationError(kind.__name__)
        return _list_decoder(kind).decode(body)

    def _sound(self, kind: type[S], part: Any) -> S | None:
        """Return an element of a listing that has the exact shape; None when it has not."""
        if kind in _ALWAYS_STRAIGHTENED or not isinstance(part, msgspec.Raw):
            return None
        try:
            found: S = _decoder(kind).decode(part)
        except _UNREADABLE:
            return None
        return found

    def _convert(self, kind: type[S], raw: Any, subject: str, ignored: Ignored | None = None) -> S:
        """Return an object from decoded JSON, straightened where it must be; WireError when it cannot be.

        Optional members of the wrong type are left out, and their paths added to `ignored`.
        """
        try:
            if kind not in _ALWAYS_STRAIGHTENED:
                try:
                    return msgspec.convert(raw, kind)
                except msgspec.ValidationError:
                    pass
            shaped = straighten(kind, raw)
            try:
                return msgspec.convert(shaped, kind)
            except msgspec.ValidationError:
                lenient = without_wrong_members(
                    kind, shaped, [] if ignored is None else ignored, required=self._required
                )
                return msgspec.convert(lenient, kind)
        except _UNREADABLE as error:
            raise WireError(oad.SCHEMA(problem=foreign(str(error))), subject=subject) from None

    def report_request(self, report: Report) -> bytes:
        """Return the body of POST and PUT: without what the VTN adds, every measured number a float."""
        return self.encode(replace(bare_report(report), program_id=None))

    def ven_request(
        self, name: str, attributes: Sequence[ValuesMap] | None = None, *, held: bytes | None = None
    ) -> bytes:
        """Return a VEN_VEN_REQUEST; targets and clientID are not a VEN's to send."""
        return _request({"objectType": VEN_REQUEST, "venName": checked_name(name, "venName")}, attributes)

    def resource_request(
        self,
        name: str,
        ven_id: str,
        attributes: Sequence[ValuesMap] | None = None,
        *,
        held: bytes | None = None,
    ) -> bytes:
        """Return a VEN_RESOURCE_REQUEST; targets and clientID are not a VEN's to send."""
        body = {
            "objectType": RESOURCE_REQUEST,
            "resourceName": checked_name(name, "resourceName"),
            "venID": ven_id,
        }
        return _request(body, attributes)

    def encode(self, wire: msgspec.Struct) -> bytes:
        """Return the JSON of an object; the numbers of a report leave as floats (10.0), others as they are.

        WireError when a report holds a number that JSON has not (NaN, infinity).
        """
        if isinstance(wire, Report):
            wire = replace(wire, resources=[_with_floats(resource) for resource in wire.resources])
        return msgspec.json.encode(wire)


CODEC_31 = Codec31()


def decode_list(kind: str | type[S], body: bytes) -> Decoded[S]:
    """Read a 3.1 listing; `kind` is a class of `objects` or its name in `KINDS`."""
    return CODEC_31.decode_list(_class_of(kind), body)


def decode(kind: str | type[S], raw: bytes | Mapping[str, Any]) -> S:
    """Read one 3.1 object; `kind` is a class of `objects` or its name in `KINDS`."""
    return CODEC_31.decode(_class_of(kind), raw)


def encode(wire: msgspec.Struct) -> bytes:
    """Write one object in 3.1, as `Codec31.encode` does."""
    return CODEC_31.encode(wire)


def _class_of(kind: str | type[S]) -> type[S]:
    if not isinstance(kind, str):
        return kind
    if kind not in KINDS:
        raise ValueError(oad.UNKNOWN_KIND(kind=kind, known=list(KINDS)))
    return KINDS[kind]  # type: ignore[return-value]  # the caller says what the name stands for


@cache
def _decoder(kind: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(kind)


@cache
def _list_decoder(kind: type[S]) -> msgspec.json.Decoder[list[S]]:
    return msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # built at run time, per kind


def _parts(body: bytes, subject: str) -> Sequence[Any]:
    """Return the elements of a JSON list, unread where that is possible; WireError when it is not a list."""
    try:
        return _PARTS.decode(body)
    except _UNREADABLE:
        raw = _json(body, subject)
    if not isinstance(raw, list):
        raise WireError(oad.NOT_A_LIST(found=_kind_of(raw)), subject=subject)
    return raw


def _ignored_text(ignored: Ignored) -> Text:
    named, more = ignored[:_NAMED], len(ignored) - _NAMED
    return oad.MEMBERS_IGNORED(members=named, more=oad.MORE_MEMBERS(count=more) if more > 0 else "")


class _NotJson:
    """Stands where a VTN wrote a number that JSON has not; no schema takes it, so its object is refused."""

    def __init__(self, written: str, *, is_text: bool = False) -> None:
        self.written = written
        self.is_text = is_text

    def __str__(self) -> str:
        return self.written


def _finite(written: str) -> float | _NotJson:
    number = float(written)
    return number if math.isfinite(number) else _NotJson(written)


def _integer(written: str) -> int | float | _NotJson:
    """Return an integer; one beyond 64 bits as a float, and one beyond those as text of no type."""
    if len(written) <= _MOST_DIGITS:
        return int(written)
    number = float(written)
    return number if math.isfinite(number) else _NotJson(written)


def _json(body: bytes, subject: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except _UNREADABLE as error:
        try:
            # One NaN must not hide the rest of a listing; the standard library reads past it.
            return _encodable(
                json.loads(body, parse_constant=_NotJson, parse_float=_finite, parse_int=_integer)
            )
        except (ValueError, RecursionError):
            raise WireError(oad.NOT_JSON(problem=foreign(str(error))), subject=subject) from None


def _encodable(raw: Any) -> Any:
    """Return decoded JSON with half characters ("\\ud800") marked, which nothing could store or send on."""
    if isinstance(raw, dict):
        return {key: _encodable(value) for key, value in raw.items() if not _is_half(key)}
    if isinstance(raw, list):
        return [_encodable(one) for one in raw]
    return _NotJson(repr(raw), is_text=True) if isinstance(raw, str) and _is_half(raw) else raw


def _is_half(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _kind_of(raw: Any) -> str:
    return {dict: "an object", str: "a string", type(None): "null"}.get(type(raw), f"a {type(raw).__name__}")


def _member(raw: Any, name: str) -> Any:
    return raw.get(name) if isinstance(raw, Mapping) else None


def _text_id(raw: Any) -> str | None:
    return str(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) and raw != "" else None


def bare_report(report: Report) -> Report:
    """Return a report without what the VTN adds, its descriptors with the discriminator that 3.1 requires."""
    descriptors = report.payload_descriptors
    return replace(
        report,
        id=None,
        created_date_time=None,
        modification_date_time=None,
        object_type=None,
        client_id=None,
        payload_descriptors=descriptors
        and [replace(d, object_type=d.object_type or REPORT_PAYLOAD_DESCRIPTOR) for d in descriptors],
    )


def checked_name(name: str, member: str) -> str:
    """Return an object's name as it is; WireError when it has not 1 to 128 characters."""
    if not 1 <= len(name) <= 128:
        raise WireError(oad.NAME_LENGTH(name=name[:20], length=len(name)), subject=member)
    return name


def _request(body: dict[str, Any], attributes: Sequence[ValuesMap] | None) -> bytes:
    if attributes is not None:
        body["attributes"] = attributes_of(attributes, body["objectType"])
    return msgspec.json.encode(body)


def attributes_of(attributes: Sequence[ValuesMap], subject: str) -> list[ValuesMap]:
    """Return attributes as they are sent: numbers as floats; WireError when one is not finite."""
    return [_floats_of(attribute, subject) for attribute in attributes]


def _with_floats(resource: ReportResource) -> ReportResource:
    # The same object comes back when nothing changes, as is the rule: reports are large.
    if all(
        type(value) is float and -math.inf < value < math.inf
        for interval in resource.intervals
        for payload in interval.payloads
        for value in payload.values
    ):
        return resource
    changed: list[Interval] | None = None
    for index, interval in enumerate(resource.intervals):
        payloads = [_floats_of(payload, resource.resource_name) for payload in interval.payloads]
        if any(new is not old for new, old in zip(payloads, interval.payloads, strict=True)):
            changed = list(resource.intervals) if changed is None else changed
            changed[index] = replace(interval, payloads=payloads)
    return resource if changed is None else replace(resource, intervals=changed)


def _floats_of(payload: ValuesMap, subject: str) -> ValuesMap:
    if payload.type in INTEGER_PAYLOADS:
        return payload
    values: list[Value] | None = None
    for index, value in enumerate(payload.values):
        if isinstance(value, float):
            if not math.isfinite(value):
                raise WireError(oad.NOT_FINITE(value=value, payload=foreign(payload.type)), subject=subject)
        elif isinstance(value, int) and not isinstance(value, bool):
            values = list(payload.values) if values is None else values
            values[index] = float(value)
    return payload if values is None else replace(payload, values=values)
