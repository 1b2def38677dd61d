"""`ven simulate vtn load|events|change|delete|reports`: business logic's side of a running local VTN.

They speak HTTP to it with the account that it left in a file for its own user.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from venclient.messages import simulation as sim
from venclient.messages import text_of, with_code
from venclient.screen import say, say_json

PortOption = Annotated[
    int,
    typer.Option("--port", help="Port of the local VTN.", envvar="VEN_SIMULATE_VTN_PORT", min=1, max=65535),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PAGE = 50


def access_file(port: int) -> Path:
    """Return the file in which the VTN on a port leaves its login for this user."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"venclient-vtn-{os.getuid()}-{port}.json"


@contextlib.contextmanager
def access(port: int, url: str, client_id: str, secret: str) -> Iterator[None]:
    """Leave address and login for the commands of this module while the block runs, for this user only."""
    from venclient.errors import ConfigError

    path = access_file(port)
    try:
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(sim.ACCESS_FILE(reason=error.strerror), subject=str(path)) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"url": url, "client_id": client_id, "secret": secret}, file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


class Desk:
    """Requests to the local VTN as business logic."""

    def __init__(self, port: int) -> None:
        import httpx2

        from venclient.errors import ConnectFailed

        path = access_file(port)
        try:
            with path.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    raise OSError  # another user wrote it
                access = json.load(file)
        except (OSError, ValueError):
            raise ConnectFailed(sim.NO_VTN(port=port)) from None
        self._subject = access["url"]
        self._http = httpx2.Client(base_url=access["url"] + "/", timeout=10, trust_env=False)
        form = {
            "grant_type": "client_credentials",
            "client_id": access["client_id"],
            "client_secret": access["secret"],
        }
        try:
            answer = self.ask("POST", "auth/token", data=form)
        except BaseException:
            self._http.close()
            raise
        self._http.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON of the answer; raises ConnectFailed or VtnProblem."""
        import httpx2

        from venclient.errors import ConnectFailed, VtnProblem

        try:
            answer = self._http.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise ConnectFailed(sim.VTN_SILENT(reason=text_of(error)), subject=self._subject) from None
        if answer.is_success:
            return answer.json()
        try:
            detail = answer.json().get("detail", "")
        except ValueError:
            detail = answer.text[:200]
        raise VtnProblem(
            sim.VTN_REFUSED(status=answer.status_code, detail=detail),
            subject=f"{method} {path}",
            status=answer.status_code,
        )

    def all(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """Return every object of a kind."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask("GET", kind, params={**query, "skip": str(len(found)), "limit": str(PAGE)})
            found += page
            if len(page) < PAGE:
                return found

    def event(self, named: str) -> dict[str, Any]:
        """Return the one event with this id or name; ConfigError when there is none, or more."""
        from venclient.errors import ConfigError

        found = [one for one in self.all("events") if named in (one["id"], one.get("eventName"))]
        if len(found) == 1:
            return found[0]
        what = sim.SEVERAL_EVENTS(count=len(found)) if found else sim.NO_EVENT()
        raise ConfigError(what, subject=named)


def load(
    file: Annotated[Path, typer.Argument(help="TOML or JSON of programs and events, as for --seed.")],
    port: PortOption = 8081,
) -> None:
    """Add the programs and events of a file.

    One that is rejected is shown and skipped.

    Clients and faults of the file are ignored: they belong to `ven simulate vtn --seed`.
    """
    from datetime import UTC, datetime

    from venclient.errors import VtnProblem
    from venclient.simulation.vtn.seed import prepared, read_seed

    seed = read_seed(file)
    refused = 0
    with Desk(port) as desk:
        ids = {one["programName"]: one["id"] for one in desk.all("programs")}
        for row in seed.programs:
            content = {key: value for key, value in row.items() if key != "id"}
            if content.get("programName") in ids:
                continue
            try:
                stored = desk.ask("POST", "programs", json=content)
            except VtnProblem as problem:
                refused += 1
                say(with_code(sim.NOT_LOADED(reason=problem)), err=True)
                continue
            ids[stored["programName"]] = stored["id"]
            say(sim.PROGRAM_ADDED(name=stored["programName"], id=stored["id"]))
        for row in seed.events:
            try:
                stored = desk.ask("POST", "events", json=prepared(row, ids, datetime.now(UTC)))
            except (VtnProblem, LookupError, ValueError, TypeError, AttributeError) as problem:
                refused += 1
                say(with_code(sim.NOT_LOADED(reason=problem)), err=True)
                continue
            say(_event_line(stored))
    if refused:
        raise typer.Exit(1)


def events(port: PortOption = 8081, as_json: JsonOption = False) -> None:
    """List the events."""
    with Desk(port) as desk:
        found = desk.all("events")
    if as_json:
        say_json(json.dumps(found, indent=2))
        return
    for one in found:
        say(_event_line(one))
    if not found:
        say(sim.NO_EVENTS())


def change(
    event: Annotated[str, typer.Argument(help="Id or name of the event.")],
    members: Annotated[
        str,
        typer.Argument(help="JSON of the members to replace, as in '{\"priority\": 0}'; null removes one."),
    ],
    port: PortOption = 8081,
) -> None:
    """Replace members of an event."""
    from venclient.errors import ConfigError

    try:
        wanted = json.loads(members)
    except (ValueError, RecursionError):
        wanted = None
    if not isinstance(wanted, Mapping):
        raise ConfigError(sim.NOT_JSON_OBJECT(), subject=members[:80])
    own = ("id", "createdDateTime", "modificationDateTime", "objectType")
    with Desk(port) as desk:
        found = desk.event(event)
        content = {key: value for key, value in found.items() if key not in own} | dict(wanted)
        content = {key: value for key, value in content.items() if value is not None}
        say(_event_line(desk.ask("PUT", f"events/{found['id']}", json=content)))


def delete(
    event: Annotated[str, typer.Argument(help="Id or name of the event.")], port: PortOption = 8081
) -> None:
    """Delete an event; its reports stay."""
    with Desk(port) as desk:
        found = desk.event(event)
        desk.ask("DELETE", f"events/{found['id']}")
    say(sim.EVENT_WITHDRAWN(event=found.get("eventName") or found["id"]))


def reports(
    event: Annotated[
        str | None, typer.Option("--event", help="Only reports on the event with this id or name.")
    ] = None,
    port: PortOption = 8081,
    as_json: JsonOption = False,
) -> None:
    """List the accepted reports with their values."""
    with Desk(port) as desk:
        query = {"eventID": desk.event(event)["id"]} if event else {}
        found = desk.all("reports", **query)
    if as_json:
        say_json(json.dumps(found, indent=2))
        return
    for one in found:
        name = one.get("reportName") or one["id"]
        say(sim.REPORT(time=one["createdDateTime"], name=name, client=one["clientName"]))
        for resource in one["resources"]:
            for interval in resource["intervals"]:
                values = ", ".join(
                    f"{payload['type']} {' '.join(map(str, payload['values']))}"
                    for payload in interval["payloads"]
                )
                say(f"  {resource['resourceName']} [{interval['id']}] {values}")
    if not found:
        say(sim.NO_REPORTS())


def _event_line(event: Mapping[str, Any]) -> str:
    period = event.get("intervalPeriod") or {}
    payloads = [one["payloadType"] for one in event.get("reportDescriptors") or ()]
    shown: dict[str, Any] = {
        "id": event["id"],
        "name": event.get("eventName") or "-",
        "count": len(event.get("intervals") or ()),
        "start": period.get("start", "-"),
        "duration": period.get("duration", "-"),
    }
    return sim.EVENT_WANTS(**shown, payloads=payloads) if payloads else sim.EVENT(**shown)
