"""The OpenADR 3.1 objects that a VEN meets (openadr3.yaml, components/schemas).

Members have the names of the standard in snake_case and its defaults; unknown members are ignored
and unknown enumeration strings kept, as Definition.md asks ("Private Strings", "Model Extension").
Times and durations stay as written: `times.py` and `duration.py` read them. Defaults are left out
on the wire.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import field


class Point(msgspec.Struct, frozen=True):
    """A pair of floats (schema `point`)."""

    x: float
    y: float


Value = float | int | str | bool | Point | None


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """Base of the wire objects: trees, which the garbage collector need not look through."""


class ValuesMap(Wire, frozen=True, kw_only=True):
    """Values of one type (schema `valuesMap`)."""

    type: str
    values: list[Value]  # required: a default would be left out on the wire


class IntervalPeriod(Wire, frozen=True, kw_only=True):
    """Start, duration and randomisation of intervals, each optional (schema `intervalPeriod`)."""

    start: str | None = None
    duration: str | None = None
    randomize_start: str | None = None


class Interval(Wire, frozen=True, kw_only=True):
    """One interval with its payloads; `id` is a label, not an index (schema `interval`)."""

    id: int
    interval_period: IntervalPeriod | None = None
    payloads: list[ValuesMap]


class EventPayloadDescriptor(Wire, frozen=True, kw_only=True):
    """Context of an event payload's values."""

    object_type: str | None = None
    payload_type: str
    units: str | None = None
    currency: str | None = None


class PayloadDescriptor(EventPayloadDescriptor, frozen=True, kw_only=True):
    """A program's descriptor, of event or of report payloads, as `object_type` says."""

    reading_type: str | None = None
    accuracy: float | None = None
    confidence: int | None = None


class ReportPayloadDescriptor(Wire, frozen=True, kw_only=True):
    """Context of a report payload's values."""

    object_type: str | None = None
    payload_type: str
    reading_type: str | None = None
    units: str | None = None
    accuracy: float | None = None
    confidence: int | None = None


class ReportDescriptor(Wire, frozen=True, kw_only=True):
    """A wish for reports, within an event (User Guide 7.5).

    `frequency` is a number of intervals; some VTNs write a duration, and it is kept as written.
    """

    payload_type: str
    reading_type: str | None = None
    units: str | None = None
    targets: list[str] | None = None
    aggregate: bool = False
    start_interval: int = -1
    num_intervals: int = -1
    historical: bool = True
    frequency: int | str = -1
    repeat: int = 1
    report_intervals: str = "INTERVALS"


class Metadata(Wire, frozen=True, kw_only=True):
    """What the VTN adds to each object it stores (schema `objectMetadata`)."""

    id: str | None = None
    created_date_time: str | None = None
    modification_date_time: str | None = None
    object_type: str | None = None


class Program(Metadata, frozen=True, kw_only=True):
    """A program (schema `program`)."""

    program_name: str
    interval_period: IntervalPeriod | None = None
    program_descriptions: list[dict[str, str]] | None = None
    payload_descriptors: list[PayloadDescriptor] | None = None
    attributes: list[ValuesMap] | None = None
    targets: list[str] | None = None
    ven_names: list[str] | None = None


class Event(Metadata, frozen=True, kw_only=True):
    """An event of a program (schema `event`); `ven_names` are the VENs among the typed targets of 3.0.1."""

    program_id: str = field(name="programID")
    event_name: str | None = None
    duration: str | None = None
    priority: int | None = None
    targets: list[str] | None = None
    ven_names: list[str] | None = None
    report_descriptors: list[ReportDescriptor] | None = None
    payload_descriptors: list[EventPayloadDescriptor] | None = None
    interval_period: IntervalPeriod | None = None
    intervals: list[Interval] | None = None


class ReportResource(Wire, frozen=True, kw_only=True):
    """One resource's part of a report."""

    resource_name: str
    interval_period: IntervalPeriod | None = None
    intervals: list[Interval]


class Report(Metadata, frozen=True, kw_only=True):
    """A report on an event (schema `report`); `program_id` is of 3.0.1 only."""

    program_id: str | None = field(default=None, name="programID")
    event_id: str = field(name="eventID")
    client_name: str
    client_id: str | None = field(default=None, name="clientID")
    report_name: str | None = None
    payload_descriptors: list[ReportPayloadDescriptor] | None = None
    resources: list[ReportResource]


class Ven(Metadata, frozen=True, kw_only=True):
    """A VEN as the VTN knows it (schema `ven`)."""

    ven_name: str
    client_id: str | None = field(default=None, name="clientID")
    attributes: list[ValuesMap] | None = None
    targets: list[str] | None = None


class VenResource(Metadata, frozen=True, kw_only=True):
    """A resource of a VEN as the VTN knows it (schema `resource`)."""

    resource_name: str
    ven_id: str | None = field(default=None, name="venID")
    client_id: str | None = field(default=None, name="clientID")
    attributes: list[ValuesMap] | None = None
    targets: list[str] | None = None


class ObjectOperation(Wire, frozen=True, kw_only=True):
    """Which operations on which objects a subscription reports, and where to.

    `mechanism` is what some VTNs add for other ways than a callback: WEBSOCKET.
    """

    objects: list[str]
    operations: list[str]
    callback_url: str | None = None
    bearer_token: str | None = None
    mechanism: str | None = None

    def __repr__(self) -> str:
        return f"ObjectOperation(objects={self.objects!r}, operations={self.operations!r})"


class Subscription(Metadata, frozen=True, kw_only=True):
    """A wish to be notified (schema `subscription`)."""

    client_name: str
    client_id: str | None = field(default=None, name="clientID")
    program_id: str | None = field(default=None, name="programID")
    object_operations: list[ObjectOperation]
    targets: list[str] | None = None


class NotifierAuthentication(Wire, frozen=True, kw_only=True):
    """How to log in to a notifier's MQTT broker; `repr` shows only the method."""

    method: str
    username: str | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    def __repr__(self) -> str:
        return f"NotifierAuthentication(method={self.method!r})"


class MqttNotifier(Wire, frozen=True, kw_only=True):
    """The VTN's MQTT notifier (schema `mqttNotifierBindingObject`)."""

    uris: list[str] = field(name="URIS")
    serialization: str = "JSON"
    authentication: NotifierAuthentication | None = None


class Notifiers(Wire, frozen=True, kw_only=True):
    """The ways in which a VTN notifies besides being polled (schema `notifiersResponse`)."""

    webhook: bool = field(default=False, name="WEBHOOK")
    mqtt: MqttNotifier | None = field(default=None, name="MQTT")
    websocket: Any = field(default=None, name="WEBSOCKET")  # of a draft: its shape is not settled


class AuthServer(Wire, frozen=True, kw_only=True):
    """Where the token service is (schema `authServerInfo`)."""

    token_url: str = field(name="tokenURL")


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the token service grants (RFC 6749, 5.1); `repr` hides the token."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  the standard's word, no secret
    expires_in: float | str | None = None
    scope: str | None = None

    def __repr__(self) -> str:
        return f"TokenAnswer(expires_in={self.expires_in!r}, scope={self.scope!r})"


class TokenError(msgspec.Struct, frozen=True, kw_only=True):
    """Why the token service refuses (RFC 6749, 5.2)."""

    error: str
    error_description: str | None = None


class Problem(Wire, frozen=True, kw_only=True):
    """An error as the VTN reports it (schema `problem`); all members optional."""

    type: str | None = None
    title: str | None = None
    status: int | None = None
    detail: str | None = None
    instance: str | None = None
