"""Stand-ins for InfluxDB: in memory, with its own line parser, and of recorded answers."""

from __future__ import annotations

import gzip
import re
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from venclient.readings.influx_answers import Verdict, verdict
from venclient.readings.influx_query import Window, windows_of
from venclient.readings.series import from_ms, to_ms

Point = tuple[str, dict[str, str], dict[str, float | str], int]

WRITTEN = Verdict("written")


def split(text: str, separator: str) -> list[str]:
    """Split at separators that no backslash escapes. Our texts in quotes are qualities: one word each."""
    parts, part = [], ""
    signs = iter(range(len(text)))
    for at in signs:
        sign = text[at]
        if sign == "\\" and at + 1 < len(text):
            part += text[at : at + 2]
            next(signs)
        elif sign == separator:
            parts.append(part)
            part = ""
        else:
            part += sign
    return [*parts, part]


def plain(text: str) -> str:
    """Undo the escapes of a name."""
    return re.sub(r"\\([,= ])", r"\1", text)


def parse(line: str) -> Point:
    """Return measurement, tags, fields and milliseconds of a line, by the rules of the line protocol."""
    head, fields, ms = split(line, " ")
    measurement, *tags = split(head, ",")
    found: dict[str, float | str] = {}
    for one in split(fields, ","):
        name, value = split(one, "=")
        found[plain(name)] = value[1:-1] if value.startswith('"') else float(value)
    return plain(measurement), {plain(k): plain(v) for k, v in (split(t, "=") for t in tags)}, found, int(ms)


def retention_error(old: list[Point], bound: datetime) -> bytes:
    """Return what InfluxDB 2.7.12 answers when points are older than its bucket keeps."""

    def shown(point: Point) -> str:
        measurement, tags, _, ms = point
        key = ",".join([measurement, *(f"{name}={value}" for name, value in sorted(tags.items()))])
        return (
            f"point {key} at {from_ms(ms).isoformat()} dropped because it violates a "
            f"Retention Policy Lower Bound at {bound.isoformat()}"
        )

    oldest, newest = min(old, key=lambda one: one[3]), max(old, key=lambda one: one[3])
    said = (
        f"failure writing points to database: partial write: dropped {len(old)} points outside retention "
        f"policy of duration 168h0m0s - oldest {shown(oldest)}, newest {shown(newest)} dropped={len(old)} "
        "for database: 687cc599fb0317e0 for retention policy: autogen"
    )
    return msgspec.json.encode({"code": "unprocessable entity", "message": said})


class MemoryInflux:
    """Takes lines as InfluxDB does: a point of the same series and time is written over, field by field.

    `script` holds verdicts for the next writes; `refuse` may give one for any write. `down` is for always.
    With `keeps`, points that are older are dropped, and the answer says so as InfluxDB 2.7 does.
    """

    subject = "InfluxDB in memory"

    def __init__(self, bucket: str = "meter_data", keeps: timedelta | None = None) -> None:
        self.bucket = bucket
        self.destination = f"memory-{bucket}"
        self.keeps = keeps
        self.points: dict[tuple[str, int], dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.writes: list[int] = []
        self.attempts = 0
        self.script: deque[Verdict] = deque()
        self.down: Verdict | None = None
        self.refuse: Callable[[list[Point]], Verdict | None] = lambda points: None
        self.databases = 0
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        self.asked = 0

    async def write(self, lines: bytes, *, now: datetime) -> Verdict:
        """Store lines, by default."""
        self.attempts += 1
        if self.down is not None:
            return self.down
        if self.script:
            found = self.script.popleft()
            if found.kind != "written":
                return found
        points = [parse(line) for line in lines.decode().split("\n")]
        refused = self.refuse(points)
        if refused is not None:
            return refused
        old = [point for point in points if self.keeps and from_ms(point[3]) < now - self.keeps]
        points = [point for point in points if not self.keeps or from_ms(point[3]) >= now - self.keeps]
        for measurement, tags, fields, ms in points:
            assert measurement == "meter_reading"
            self.tags[tags["resource_id"]] = tags
            self.points.setdefault((tags["resource_id"], ms), {}).update(fields)
        self.writes.append(len(points))
        if self.before_answer is not None:
            await self.before_answer()
        if old:
            return verdict(422, {}, retention_error(old, now - (self.keeps or timedelta())), now=now)
        return WRITTEN

    async def make_database(self) -> str | None:
        """Count."""
        self.databases += 1
        return None

    async def windows(self, window: Window) -> dict[str, dict[str, list[Any]]]:
        """Return a window of what is stored."""
        self.asked += 1
        return windows_of(self.points, window)

    def values(self, resource_id: str, quantity: str = "power_kw") -> list[float]:
        """Return the values of one series in time order."""
        return [
            fields[quantity]
            for (id_, _), fields in sorted(self.points.items())
            if id_ == resource_id and quantity in fields
        ]

    def at(self, resource_id: str, time: datetime) -> dict[str, Any]:
        """Return the fields of one point."""
        return self.points[resource_id, to_ms(time)]


class Asked(NamedTuple):
    """One request that the recorded server got."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: str


class RecordedInflux:
    """Answers with what real servers were seen to answer, in order; the last one again and again."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, dict[str, str], str]] = deque()
        self.asked: list[Asked] = []
        self.url = ""

    def answer(self, status: int, body: str = "", **headers: str) -> None:
        """Add an answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, named, body))


@contextmanager
def recorded_influx() -> Iterator[RecordedInflux]:
    """Serve recorded answers on a port of 127.0.0.1."""
    record = RecordedInflux()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            record.asked.append(Asked(parts.path, query, dict(self.headers), body.decode()))
            status, headers, text = record.answers[0]
            if len(record.answers) > 1:
                record.answers.popleft()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    record.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield record
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
