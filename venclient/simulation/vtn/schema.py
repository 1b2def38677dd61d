"""What a client may send: the request objects of OpenADR 3.1 as this VTN understands them.

Written from the official YAML alone and sharing nothing with venclient's own wire model: a
misreading there is caught here. An absent optional member stays absent (UNSET); null is accepted
only where the YAML says nullable; unknown members are dropped, as the Definition allows.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from venclient.simulation.vtn.problems import Refusal

OBJECT_TYPES = ("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")
OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")

# \Z and [0-9]: Python's $ and \d take more than ECMA's, which the YAML's patterns are written in
ObjectID = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9_-]*\Z", min_length=1, max_length=128)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Uri = Annotated[
    str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>\"{}|\\^`]+\Z", min_length=2, max_length=8000)
]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Confidence = Annotated[int, Meta(ge=0, le=100)]
Natural = Annotated[int, Meta(ge=0)]
Duration = Annotated[
    str,
    Meta(
        pattern=r"\A-?P(?=[0-9]|T[0-9])([0-9]+Y)?([0-9]+M)?([0-9]+[DW])?"
        r"(T([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?)?\Z"
    ),
]
Targets = list[Name] | UnsetType | None

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](\d\d):(\d\d))", re.ASCII
)
_NOW = ("0001-01-01", "0001-01-01T00:00:00")  # without a zone, and yet the YAML names both


def wire_name(field: str) -> str:
    """Return the member's name on the wire: `program_id` is `programID`, `callback_url` is `callbackUrl`."""
    head, *rest = field.split("_")
    return head + "".join("ID" if word == "id" else word.title() for word in rest)


def is_date_time(text: str) -> bool:
    """Return whether text is an RFC 3339 date-time, or one of the two spellings of "now"."""
    if text in _NOW:
        return True
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return False
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset_hour, offset_minute = (int(part or 0) for part in found.groups()[6:])
    try:
        datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001  (only asks whether it exists)
    except ValueError:
        return False
    return second <= 60 and offset_hour < 24 and offset_minute < 60


class _Wire(Struct, rename=wire_name, kw_only=True):
    pass


class Point(_Wire):
    x: float
    y: float


class ValuesMap(_Wire):
    type: Name
    values: list[int | float | str | bool | Point]


class IntervalPeriod(_Wire):
    start: str | UnsetType = UNSET
    duration: Duration | UnsetType = UNSET
    randomize_start: Duration | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a start that is not a date-time (msgspec names the path)."""
        if self.start is not UNSET and not is_date_time(self.start):
            raise ValueError(f"start {self.start[:40]!r} is no RFC 3339 date-time")


class Interval(_Wire, kw_only=True):
    id: Int32
    interval_period: IntervalPeriod | UnsetType = UNSET
    payloads: list[ValuesMap]


class _EventDescriptor(_Wire):
    payload_type: Name
    units: Name | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET


class _ReportDescriptor(_Wire):
    payload_type: Name
    reading_type: Name | UnsetType | None = UNSET
    units: Name | UnsetType | None = UNSET
    accuracy: float | UnsetType | None = UNSET
    confidence: Confidence | UnsetType | None = UNSET


# a tagged struct outside a union may lack its tag: a pair of each
class EventPayloadDescriptor(_EventDescriptor, kw_only=True):
    object_type: Literal["EVENT_PAYLOAD_DESCRIPTOR"]


class ReportPayloadDescriptor(_ReportDescriptor, kw_only=True):
    object_type: Literal["REPORT_PAYLOAD_DESCRIPTOR"]


class EitherEvent(_EventDescriptor, tag_field="objectType", tag="EVENT_PAYLOAD_DESCRIPTOR"):
    pass


class EitherReport(_ReportDescriptor, tag_field="objectType", tag="REPORT_PAYLOAD_DESCRIPTOR"):
    pass


class ProgramDescription(_Wire):
    url: Uri = msgspec.field(name="URL")


class ProgramRequest(_Wire):
    program_name: Name
    interval_period: IntervalPeriod | UnsetType = UNSET
    program_descriptions: list[ProgramDescription] | UnsetType | None = UNSET
    payload_descriptors: list[EitherEvent | EitherReport] | UnsetType | None = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    targets: Targets = UNSET


class ReportDescriptor(_Wire):
    payload_type: Name
    reading_type: Name | UnsetType | None = UNSET
    units: Name | UnsetType | None = UNSET
    targets: Targets = UNSET
    aggregate: bool | UnsetType = UNSET
    start_interval: Int32 | UnsetType = UNSET
    num_intervals: Int32 | UnsetType = UNSET
    historical: bool | UnsetType = UNSET
    frequency: Int32 | UnsetType = UNSET
    repeat: Int32 | UnsetType = UNSET
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] | UnsetType = UNSET


class EventRequest(_Wire):
    program_id: ObjectID
    event_name: str | UnsetType | None = UNSET
    duration: Duration | UnsetType = UNSET
    priority: Natural | UnsetType | None = UNSET
    targets: Targets = UNSET
    report_descriptors: list[ReportDescriptor] | UnsetType | None = UNSET
    payload_descriptors: list[EventPayloadDescriptor] | UnsetType | None = UNSET
    interval_period: IntervalPeriod | UnsetType = UNSET
    intervals: list[Interval] | UnsetType = UNSET


class ReportResource(_Wire, kw_only=True):
    resource_name: Name
    interval_period: IntervalPeriod | UnsetType = UNSET
    intervals: list[Interval]


class ReportRequest(_Wire, kw_only=True):
    event_id: ObjectID
    client_name: Name
    report_name: str | UnsetType | None = UNSET
    payload_descriptors: list[ReportPayloadDescriptor] | UnsetType | None = UNSET
    resources: list[ReportResource]


class ObjectOperation(_Wire):
    objects: list[Literal["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]]
    operations: list[Literal["READ", "CREATE", "UPDATE", "DELETE"]]
    callback_url: Uri
    bearer_token: str | UnsetType | None = UNSET


class SubscriptionRequest(_Wire, kw_only=True):
    client_name: Name
    program_id: ObjectID | UnsetType = UNSET
    object_operations: list[ObjectOperation]
    targets: Targets = UNSET


class BlVenRequest(_Wire, tag_field="objectType", tag="BL_VEN_REQUEST"):
    client_id: Name
    ven_name: Name
    targets: Targets = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET


class VenVenRequest(_Wire, tag_field="objectType", tag="VEN_VEN_REQUEST"):
    ven_name: Name
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    # not the VEN's to say (Definition, object privacy): read only to be refused
    targets: object = UNSET
    client_id: object = UNSET


class BlResourceRequest(_Wire, tag_field="objectType", tag="BL_RESOURCE_REQUEST"):
    client_id: Name
    resource_name: Name
    ven_id: ObjectID
    targets: Targets = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET


class VenResourceRequest(_Wire, tag_field="objectType", tag="VEN_RESOURCE_REQUEST"):
    resource_name: Name
    ven_id: ObjectID
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    targets: object = UNSET
    client_id: object = UNSET


# one decoder a kind; a ven or resource is one of two forms, distinguished by objectType
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "program": msgspec.json.Decoder(ProgramRequest),
    "event": msgspec.json.Decoder(EventRequest),
    "report": msgspec.json.Decoder(ReportRequest),
    "subscription": msgspec.json.Decoder(SubscriptionRequest),
    "ven": msgspec.json.Decoder(BlVenRequest | VenVenRequest),
    "resource": msgspec.json.Decoder(BlResourceRequest | VenResourceRequest),
}


def read_body(kind: str, body: bytes, *, is_bl: bool) -> dict[str, Any]:
    """Return a request body as a checked mapping with wire names.

    Raises Refusal (400) naming the member and the rule, also when a VEN uses the business logic's
    form of a ven or resource, or the other way round.
    """
    try:
        parsed = _DECODERS[kind].decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refusal(400, f"{kind}: {error}") from None
    if kind in ("ven", "resource"):
        _check_form(kind, parsed, is_bl=is_bl)
    content: dict[str, Any] = msgspec.to_builtins(parsed)
    return content


def _check_form(kind: str, parsed: Struct, *, is_bl: bool) -> None:
    by_ven = isinstance(parsed, VenVenRequest | VenResourceRequest)
    if by_ven == is_bl:
        form = f"{'BL' if is_bl else 'VEN'}_{kind.upper()}_REQUEST"
        raise Refusal(400, f"{kind}: this client's form has objectType {form}")
    if isinstance(parsed, VenVenRequest | VenResourceRequest):
        for member, value in (("targets", parsed.targets), ("clientID", parsed.client_id)):
            if value is not UNSET:
                raise Refusal(400, f"{kind}: {member} is set by the business logic, never by a VEN")
