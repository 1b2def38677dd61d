"""A real InfluxDB 2 as a process, with its web page on every path that its API does not have."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.peers import missing, pick_port, wait_or_kill
from tools import influxdb
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount, Language

ORG = "site"
TOKEN = "operator-token-of-the-test"
PAGE = "<!doctype html><html><head><title>InfluxDB</title></head><body></body></html>"


class RealInflux:
    """The server, as its operator uses it: with the HTTP API of its documentation, past our code."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Token {TOKEN}"}, trust_env=False, timeout=30
        )
        self._org_id = ""
        self._opened: list[InfluxServer] = []

    def setup(self) -> None:
        """Create user, organisation and the operator's token."""
        body = {"username": "operator", "password": "password", "org": ORG, "bucket": "first", "token": TOKEN}
        self._org_id = self.ask("POST", "/api/v2/setup", json=body)["org"]["id"]

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return the answer's JSON, None when it has none; fails unless it is 2xx."""
        answer = self._http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json() if "json" in answer.headers.get("content-type", "") else None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ---- buckets and tokens

    def bucket_id(self, name: str) -> str | None:
        """Return a bucket's id; None when there is none of that name."""
        answer = self._http.get("/api/v2/buckets", params={"name": name, "org": ORG})
        return next((one["id"] for one in answer.json().get("buckets", ())), None)

    def make_bucket(self, name: str, keeps: timedelta | None = None) -> str:
        """Create a bucket, in place of one of that name, and return its id."""
        known = self.bucket_id(name)
        if known is not None:
            self.ask("DELETE", f"/api/v2/buckets/{known}")
        rules = [{"type": "expire", "everySeconds": int(keeps.total_seconds())}] if keeps else []
        body = {"name": name, "orgID": self._org_id, "retentionRules": rules}
        return str(self.ask("POST", "/api/v2/buckets", json=body)["id"])

    def make_token(self, bucket_id: str, actions: Sequence[str]) -> str:
        """Return a token that may do only these (read, write) in one bucket."""
        resource = {"type": "buckets", "id": bucket_id, "orgID": self._org_id}
        permissions = [{"action": action, "resource": resource} for action in actions]
        body = {"orgID": self._org_id, "permissions": permissions}
        return str(self.ask("POST", "/api/v2/authorizations", json=body)["token"])

    # ---- what the contract wants

    def make(self, bucket: str, keeps: timedelta | None = None) -> InfluxServer:
        """Create a bucket and return our client of it."""
        self.make_bucket(bucket, keeps)
        return self.open(bucket)

    def open(self, bucket: str, **changed: Any) -> InfluxServer:
        """Return our client of a bucket."""
        self._opened.append(InfluxServer(self.account(bucket, **changed)))
        return self._opened[-1]

    async def close_clients(self) -> None:
        """Close the clients that were opened since the last time."""
        while self._opened:
            await self._opened.pop().close()

    def account(self, bucket: str, *, language: Language = "influxql", **changed: Any) -> InfluxAccount:
        """Return the account of a bucket with the operator's token, unless changed."""
        known = {"url": self.url, "version": 2, "org": ORG, "token": TOKEN, "bucket": bucket}
        return InfluxAccount(**{**known, "language": language, **changed})

    def points(self, bucket: str, resource_id: str) -> dict[int, float]:
        """Return what is in a bucket of one resource's power, by milliseconds."""
        query = (
            f'from(bucket: "{bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)'
            f' |> filter(fn: (r) => r.resource_id == "{resource_id}" and r._field == "power_kw")'
            ' |> keep(columns: ["_time", "_value"])'
        )
        answer = self._http.post(
            "/api/v2/query",
            params={"org": ORG},
            json={"query": query, "type": "flux"},
            headers={"Accept": "application/csv"},
        )
        assert answer.is_success, answer.text
        found: dict[int, float] = {}
        header: list[str] = []
        for line in answer.text.splitlines():
            row = line.split(",")
            if "_time" in row:
                header = row
            elif header and len(row) == len(header):
                values: Mapping[str, str] = dict(zip(header, row, strict=True))
                moment = datetime.fromisoformat(values["_time"])
                found[round(moment.timestamp() * 1000)] = float(values["_value"])
        return found

    def delete(self, bucket: str, start: datetime, end: datetime) -> None:
        """Delete what a bucket holds of start <= time < end."""
        body = {"start": start.isoformat(), "stop": (end - timedelta(milliseconds=1)).isoformat()}
        self.ask("POST", "/api/v2/delete", params={"org": ORG, "bucket": bucket}, json=body)


def find_influxdb() -> Path:
    """Return the program of InfluxDB 2, or skip."""
    if not influxdb.program().is_file():
        lacking = influxdb.missing_tools()
        if lacking is not None:
            pytest.skip(f"InfluxDB {influxdb.VERSION} cannot be built here ({lacking})")
        missing(f"InfluxDB {influxdb.VERSION} is not installed (make interop)")
    return influxdb.program()


@contextmanager
def real_influx(folder: Path) -> Iterator[RealInflux]:
    """Run InfluxDB 2 on a port of 127.0.0.1 with its data in `folder`, and end it."""
    program = find_influxdb()
    assets = folder / "assets"
    assets.mkdir(parents=True)
    (assets / "index.html").write_text(PAGE)
    port = pick_port()
    command = [
        str(program),
        f"--http-bind-address=127.0.0.1:{port}",
        f"--bolt-path={folder / 'influxd.bolt'}",
        f"--engine-path={folder / 'engine'}",
        f"--sqlite-path={folder / 'influxd.sqlite'}",
        f"--assets-path={assets}",
        "--reporting-disabled",
    ]
    home = {**os.environ, "HOME": str(folder)}
    with (folder / "influxd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=home)
    server = RealInflux(f"http://127.0.0.1:{port}")
    try:
        _wait(server.url, process, folder / "influxd.log")
        server.setup()
        yield server
    finally:
        server.close()
        process.terminate()
        wait_or_kill(process)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/health", trust_env=False, timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.05)  # another process is starting: no clock can be turned
    pytest.fail(f"InfluxDB does not serve:\n{log.read_text()[-4000:]}")
