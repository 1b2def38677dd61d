"""The other side of the VTN: the business logic that makes users, programs and events, and reads reports.

Plain HTTP, and none of the product's code: what it says is what a VTN's operator says.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx2

from tests.interop.vtn import BUSINESS

PRICES = [
    {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE", "units": "KWH", "currency": "EUR"}
]
#: A report after each interval.
EACH = {"startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}

Object = dict[str, Any]


class Business:
    """An operator at one VTN."""

    def __init__(self, url: str, *, token: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._http = httpx2.Client(
            base_url=url, trust_env=False, timeout=120, verify=tls if tls is not None else True
        )
        self._numbers = itertools.count(1)
        if token is None:
            self.log_in()
        else:
            self._http.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def log_in(self) -> None:
        """Get a token."""
        form = {"grant_type": "client_credentials", "client_id": BUSINESS[0], "client_secret": BUSINESS[1]}
        answer = self._http.post("/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def say(self, method: str, path: str, body: Any = None) -> Any:
        """Return the VTN's answer; fail the test when it is not a 2xx."""
        answer = self._http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def _all(self, path: str, **query: str) -> list[Object]:
        found: list[Object] = []
        while True:
            answer = self._http.get(path, params={**query, "skip": str(len(found)), "limit": "50"})
            assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text}"
            page = answer.json()
            found += page
            if len(page) < 50:
                return found

    # ---- who came

    def vens(self) -> list[Object]:
        """Return the VEN objects."""
        return self._all("/vens")

    def resources(self) -> list[Object]:
        """Return the resource objects."""
        return self._all("/resources")

    def grant(self, ven: Object, *targets: str) -> None:
        """Grant targets to a VEN object, as it is."""
        kept = {
            name: ven[name] for name in ("clientID", "venName", "attributes") if ven.get(name) is not None
        }
        body = {"objectType": "BL_VEN_REQUEST", **kept, "targets": list(targets)}
        self.say("PUT", f"/vens/{ven['id']}", body)

    def grant_resource(self, resource: Object, *targets: str) -> None:
        """Grant targets to a resource object, as it is."""
        names = ("clientID", "resourceName", "venID", "attributes")
        kept = {name: resource[name] for name in names if resource.get(name) is not None}
        body = {"objectType": "BL_RESOURCE_REQUEST", **kept, "targets": list(targets)}
        self.say("PUT", f"/resources/{resource['id']}", body)

    # ---- what it asks for

    def add_program(self, name: str = "", **more: Any) -> Object:
        """Make a program, by default with a unique name."""
        body = {"programName": name or f"program {next(self._numbers)}", **more}
        return dict(self.say("POST", "/programs", body))

    def add_event(self, program: Object, **event: Any) -> Object:
        """Make an event."""
        return dict(self.say("POST", "/events", {"programID": program["id"], "priority": None, **event}))

    def change_event(self, event: Object, **changes: Any) -> Object:
        """Replace members of an event; a member that is given as None goes."""
        dropped = ("id", "createdDateTime", "modificationDateTime")
        body = {name: value for name, value in {**event, **changes}.items() if name not in dropped}
        kept = {name: value for name, value in body.items() if value is not None or name == "priority"}
        return dict(self.say("PUT", f"/events/{event['id']}", kept))

    def delete_event(self, event: Object) -> None:
        """Delete an event."""
        self.say("DELETE", f"/events/{event['id']}")

    def events(self) -> list[Object]:
        """Return all events."""
        return self._all("/events")

    def reports(self, event: Object, client_name: str | None = None) -> list[Object]:
        """Return the reports on an event, oldest first."""
        query = {"eventID": event["id"], **({"clientName": client_name} if client_name else {})}
        return sorted(
            self._all("/reports", **query), key=lambda one: datetime.fromisoformat(one["createdDateTime"])
        )


def intervals(count: int, kind: str = "SIMPLE", values: Sequence[float] | None = None) -> list[Object]:
    """Return the intervals of an event, numbered from 0; all of value 0 without `values`."""
    chosen: Sequence[float | int] = values if values is not None else [0] * count
    return [
        {"id": number, "payloads": [{"type": kind, "values": [chosen[number]]}]} for number in range(count)
    ]


def period(start: datetime, step_s: float) -> Object:
    """Return an intervalPeriod; OpenLEADR wants a whole RFC 3339 time."""
    return {"start": zulu(start), "duration": f"PT{step_s:g}S"}


def zulu(moment: datetime) -> str:
    """Return a time as it is written on the wire."""
    return moment.isoformat().replace("+00:00", "Z")


def reported(reports: Sequence[Object], kind: str = "USAGE") -> dict[tuple[str, datetime], Any]:
    """Return every value of a payload type by resource and start of its interval.

    A value that was reported twice fails the test.
    """
    found: dict[tuple[str, datetime], Any] = {}
    for report in reports:
        for part in report["resources"]:
            for start, _, interval in placed(part):
                for payload in interval["payloads"]:
                    if payload["type"] == kind:
                        key = part["resourceName"], start
                        assert key not in found, f"{kind} of {key} is told twice"
                        found[key] = payload["values"][0]
    return found


def placed(part: Object) -> list[tuple[datetime, timedelta, Object]]:
    """Return start and length of each interval in a resource's part of a report, as the report has them."""
    found = []
    whole = part.get("intervalPeriod")
    coming = datetime.fromisoformat(whole["start"]) if whole else None
    for interval in part["intervals"]:
        own = interval.get("intervalPeriod")
        start = datetime.fromisoformat(own["start"]) if own else coming
        assert start is not None, f"nothing says when {interval} was"
        length = _length((own or whole or {})["duration"])
        found.append((start, length, interval))
        coming = start + length
    return found


def _length(text: str) -> timedelta:
    """Return a duration of days, hours, minutes and seconds; OpenLEADR writes P0Y0M0DT0H0M2S for PT2S."""
    date, _, clock = text.removeprefix("P").partition("T")
    found = timedelta()
    for piece, units in ((date, {"D": "days"}), (clock, {"H": "hours", "M": "minutes", "S": "seconds"})):
        number = ""
        for letter in piece:
            if letter.isdigit() or letter == ".":
                number += letter
                continue
            if float(number):
                found += timedelta(**{units[letter]: float(number)})
            number = ""
    return found
