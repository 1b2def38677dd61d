"""Request bodies: rich good ones of every kind, and a table of what the YAML forbids in each."""

from __future__ import annotations

import copy
from typing import Any

INTERVAL = {
    "id": 0,
    "intervalPeriod": {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT5M"},
    "payloads": [{"type": "USAGE", "values": [1.5, 2, "text", True, {"x": 1.0, "y": -2.0}]}],
}
EVENT_DESCRIPTOR = {
    "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
    "payloadType": "PRICE",
    "units": "KWH",
    "currency": "EUR",
}
REPORT_DESCRIPTOR = {
    "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
    "payloadType": "USAGE",
    "readingType": "DIRECT_READ",
    "units": "KWH",
    "accuracy": 0.5,
    "confidence": 100,
}
GOOD: dict[str, dict[str, Any]] = {
    "program": {
        "programName": "flexibility",
        "intervalPeriod": {"start": "2026-01-01T00:00:00Z", "duration": "P9999Y"},
        "programDescriptions": [{"URL": "https://example.com/p"}],
        "payloadDescriptors": [EVENT_DESCRIPTOR, REPORT_DESCRIPTOR],
        "attributes": [{"type": "LOCAL", "values": [True]}],
        "targets": ["group-1"],
    },
    "event": {
        "programID": "p-1",
        "eventName": "price",
        "duration": "PT24H",
        "priority": 0,
        "targets": ["group-1"],
        "reportDescriptors": [
            {
                "payloadType": "USAGE",
                "readingType": "DIRECT_READ",
                "units": "KWH",
                "targets": ["group-1"],
                "aggregate": False,
                "startInterval": -1,
                "numIntervals": -1,
                "historical": True,
                "frequency": -1,
                "repeat": 1,
                "reportIntervals": "SUB_INTERVALS",
            }
        ],
        "payloadDescriptors": [EVENT_DESCRIPTOR],
        "intervalPeriod": {"start": "2026-01-01T00:00:00Z", "duration": "PT1H"},
        "intervals": [INTERVAL],
    },
    "report": {
        "eventID": "e-1",
        "clientName": "gateway",
        "reportName": "usage",
        "payloadDescriptors": [REPORT_DESCRIPTOR],
        "resources": [
            {"resourceName": "meter", "intervalPeriod": {"duration": "PT1H"}, "intervals": [INTERVAL]}
        ],
    },
    "subscription": {
        "clientName": "gateway",
        "programID": "p-1",
        "objectOperations": [
            {
                "objects": ["EVENT", "PROGRAM"],
                "operations": ["CREATE", "UPDATE", "DELETE", "READ"],
                "callbackUrl": "https://example.com/hook",
                "bearerToken": "t",
            }
        ],
        "targets": ["group-1"],
    },
    "ven": {
        "objectType": "VEN_VEN_REQUEST",
        "venName": "gateway",
        "attributes": [{"type": "LOCATION", "values": [8.97, 56.14]}],
    },
    "resource": {
        "objectType": "VEN_RESOURCE_REQUEST",
        "resourceName": "meter",
        "venID": "v-1",
        "attributes": [{"type": "MAX_POWER_CONSUMPTION", "values": [11.0]}],
    },
}
SCHEMA = {
    "program": "programRequest",
    "event": "eventRequest",
    "report": "reportRequest",
    "subscription": "subscriptionRequest",
    "ven": "venRequest",
    "resource": "resourceRequest",
}
MISSING = object()
Path = tuple[str | int, ...]

BAD: list[tuple[str, Path, object]] = [
    ("program", ("programName",), MISSING),
    ("program", ("programName",), ""),
    ("program", ("programName",), "x" * 129),
    ("program", ("programName",), None),
    ("program", ("programName",), 7),
    ("program", ("intervalPeriod",), None),
    ("program", ("intervalPeriod", "start"), "2026-01-01"),
    ("program", ("intervalPeriod", "start"), None),
    ("program", ("intervalPeriod", "duration"), "1h"),
    ("program", ("intervalPeriod", "duration"), "P"),
    ("program", ("intervalPeriod", "duration"), "PT"),
    ("program", ("programDescriptions", 0, "URL"), MISSING),
    ("program", ("programDescriptions", 0, "URL"), "x"),
    ("program", ("programDescriptions", 0, "URL"), "x:" + "y" * 8000),
    ("program", ("payloadDescriptors", 0, "objectType"), MISSING),
    ("program", ("payloadDescriptors", 0, "objectType"), "PAYLOAD"),
    ("program", ("payloadDescriptors", 1, "confidence"), 101),
    ("program", ("payloadDescriptors", 1, "accuracy"), "fine"),
    ("program", ("attributes", 0, "type"), ""),
    ("program", ("attributes", 0, "values"), MISSING),
    ("program", ("attributes", 0, "values"), None),
    ("program", ("attributes", 0, "values", 0), None),
    ("program", ("attributes", 0, "values", 0), [1]),
    ("program", ("attributes", 0, "values", 0), {"x": 1.0}),
    ("program", ("targets",), "group-1"),
    ("program", ("targets", 0), ""),
    ("program", ("targets", 0), {"type": "GROUP", "values": ["group-1"]}),
    ("event", ("programID",), MISSING),
    ("event", ("programID",), "a b"),
    ("event", ("programID",), ""),
    ("event", ("programID",), "x" * 129),
    ("event", ("duration",), "PT1H30"),
    ("event", ("duration",), None),
    ("event", ("priority",), -1),
    ("event", ("priority",), 1.5),
    ("event", ("priority",), True),
    ("event", ("reportDescriptors", 0, "payloadType"), MISSING),
    ("event", ("reportDescriptors", 0, "aggregate"), "no"),
    ("event", ("reportDescriptors", 0, "aggregate"), None),
    ("event", ("reportDescriptors", 0, "startInterval"), None),
    ("event", ("reportDescriptors", 0, "repeat"), 2**31),
    ("event", ("reportDescriptors", 0, "frequency"), "PT15M"),
    ("event", ("reportDescriptors", 0, "reportIntervals"), "ALL"),
    ("event", ("reportDescriptors", 0, "units"), ""),
    ("event", ("payloadDescriptors", 0, "objectType"), MISSING),
    ("event", ("payloadDescriptors", 0, "objectType"), "REPORT_PAYLOAD_DESCRIPTOR"),
    ("event", ("intervals",), None),
    ("event", ("intervals",), {}),
    ("event", ("intervals", 0, "id"), MISSING),
    ("event", ("intervals", 0, "id"), "0"),
    ("event", ("intervals", 0, "id"), 2**31),
    ("event", ("intervals", 0, "payloads"), MISSING),
    ("event", ("intervals", 0, "payloads", 0, "type"), MISSING),
    ("event", ("intervals", 0, "intervalPeriod", "start"), "2026-13-01T00:00:00Z"),
    ("event", ("intervals", 0, "intervalPeriod", "start"), "2026-01-01T00:00:00"),
    ("event", ("intervals", 0, "intervalPeriod", "randomizeStart"), 5),
    ("report", ("eventID",), MISSING),
    ("report", ("clientName",), MISSING),
    ("report", ("clientName",), ""),
    ("report", ("resources",), MISSING),
    ("report", ("resources",), None),
    ("report", ("resources", 0, "resourceName"), MISSING),
    ("report", ("resources", 0, "resourceName"), "x" * 129),
    ("report", ("resources", 0, "intervals"), MISSING),
    ("report", ("resources", 0, "intervals", 0, "payloads", 0, "values", 0), None),
    ("report", ("payloadDescriptors", 0, "objectType"), MISSING),
    ("report", ("payloadDescriptors", 0, "confidence"), -1),
    ("subscription", ("clientName",), MISSING),
    ("subscription", ("programID",), None),
    ("subscription", ("objectOperations",), MISSING),
    ("subscription", ("objectOperations", 0, "callbackUrl"), MISSING),
    ("subscription", ("objectOperations", 0, "callbackUrl"), "h"),
    ("subscription", ("objectOperations", 0, "operations"), ["GET"]),
    ("subscription", ("objectOperations", 0, "objects"), ["METER"]),
    ("ven", ("objectType",), MISSING),
    ("ven", ("objectType",), "VEN"),
    ("ven", ("venName",), MISSING),
    ("ven", ("venName",), "x" * 129),
    ("ven", ("attributes",), {}),
    ("resource", ("objectType",), MISSING),
    ("resource", ("resourceName",), MISSING),
    ("resource", ("venID",), MISSING),
    ("resource", ("venID",), "v/1"),
]


def changed(kind: str, path: Path, value: object) -> dict[str, Any]:
    """Return the good body of a kind with one member replaced, or left out for MISSING."""
    body = copy.deepcopy(GOOD[kind])
    *way, last = path
    place: Any = body
    for step in way:
        place = place[step]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return body
