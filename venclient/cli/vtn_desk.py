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

PortOption = Annotated[
    int,
    typer.Option("--port", help="Port of the local VTN.", envvar="VEN_SIMULATE_VTN_PORT", min=1, max=65535),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PAGE = 50


def access_file(port: int) -> Path:
    """Give where the VTN at a port tells its user how to log in."""
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
        raise ConfigError(
            f"cannot be written ({error.strerror})",
            subject=str(path),
            hint="somebody else's file has this name; set XDG_RUNTIME_DIR to a folder of yours",
        ) from None
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
                    raise OSError("somebody else wrote it")
                told = json.load(file)
        except (OSError, ValueError):
            raise ConnectFailed(
                "no local VTN of yours is running there",
                subject=f"port {port}",
                hint="start one with `ven simulate vtn`, or name its port with --port",
            ) from None
        self._subject = told["url"]
        self._http = httpx2.Client(base_url=told["url"] + "/", timeout=10, trust_env=False)
        form = {
            "grant_type": "client_credentials",
            "client_id": told["client_id"],
            "client_secret": told["secret"],
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
        """Give the answer's JSON; ConnectFailed or VtnProblem tell what the VTN says."""
        import httpx2

        from venclient.errors import ConnectFailed, VtnProblem

        try:
            answer = self._http.request(method, path, **options)
        except httpx2.HTTPError as error:
            raise ConnectFailed(
                f"the local VTN does not answer ({type(error).__name__})", subject=self._subject
            ) from None
        if answer.is_success:
            return answer.json()
        try:
            detail = answer.json().get("detail", "")
        except ValueError:
            detail = answer.text[:200]
        raise VtnProblem(
            f"{answer.status_code} {detail}", subject=f"{method} {path}", status=answer.status_code
        )

    def all(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """Give every object of a kind."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask("GET", kind, params={**query, "skip": str(len(found)), "limit": str(PAGE)})
            found += page
            if len(page) < PAGE:
                return found

    def event(self, named: str) -> dict[str, Any]:
        """Give the one event with this id or name; ConfigError when there is none, or more."""
        from venclient.errors import ConfigError

        found = [one for one in self.all("events") if named in (one["id"], one.get("eventName"))]
        if len(found) == 1:
            return found[0]
        what = "no event has this id or name" if not found else f"{len(found)} events have this name"
        raise ConfigError(what, subject=named, hint="see `ven simulate vtn events`")


def load(
    file: Annotated[Path, typer.Argument(help="TOML or JSON of programs and events, as for --seed.")],
    port: PortOption = 8081,
) -> None:
    """Add the programs and events of a file; what cannot be added is told and stops no other.

    Clients and faults of the file are for a VTN that starts with it (--seed), and are passed over.
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
                typer.echo(f"refused: {problem}", err=True)
                continue
            ids[stored["programName"]] = stored["id"]
            typer.echo(f"program {stored['programName']} {stored['id']}")
        for row in seed.events:
            try:
                stored = desk.ask("POST", "events", json=prepared(row, ids, datetime.now(UTC)))
            except (VtnProblem, LookupError, ValueError, TypeError, AttributeError) as problem:
                refused += 1
                typer.echo(f"refused: {problem}", err=True)
                continue
            typer.echo(_event_line(stored))
    if refused:
        raise typer.Exit(1)


def events(port: PortOption = 8081, as_json: JsonOption = False) -> None:
    """List the events."""
    with Desk(port) as desk:
        found = desk.all("events")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for one in found:
        typer.echo(_event_line(one))
    if not found:
        typer.echo("no events; add some with `ven simulate vtn load FILE`")


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
        if not isinstance(wanted, Mapping):
            raise ValueError("no object")
    except ValueError as error:
        raise ConfigError(
            f"is no JSON object ({error})",
            subject=members[:80],
            hint="write for instance '{\"priority\": 0}'",
        ) from None
    own = ("id", "createdDateTime", "modificationDateTime", "objectType")
    with Desk(port) as desk:
        found = desk.event(event)
        content = {key: value for key, value in found.items() if key not in own} | dict(wanted)
        content = {key: value for key, value in content.items() if value is not None}
        typer.echo(_event_line(desk.ask("PUT", f"events/{found['id']}", json=content)))


def delete(
    event: Annotated[str, typer.Argument(help="Id or name of the event.")], port: PortOption = 8081
) -> None:
    """Withdraw an event; its reports stay."""
    with Desk(port) as desk:
        found = desk.event(event)
        desk.ask("DELETE", f"events/{found['id']}")
    typer.echo(f"event {found.get('eventName') or found['id']} is withdrawn")


def reports(
    event: Annotated[
        str | None, typer.Option("--event", help="Only those on the event of this id or name.")
    ] = None,
    port: PortOption = 8081,
    as_json: JsonOption = False,
) -> None:
    """List the accepted reports with their values."""
    with Desk(port) as desk:
        query = {"eventID": desk.event(event)["id"]} if event else {}
        found = desk.all("reports", **query)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for one in found:
        typer.echo(f"{one['createdDateTime']} {one.get('reportName') or one['id']} from {one['clientName']}")
        for resource in one["resources"]:
            for interval in resource["intervals"]:
                told = ", ".join(
                    f"{payload['type']} {' '.join(map(str, payload['values']))}"
                    for payload in interval["payloads"]
                )
                typer.echo(f"  {resource['resourceName']} [{interval['id']}] {told}")
    if not found:
        typer.echo("no reports yet")


def _event_line(event: Mapping[str, Any]) -> str:
    period = event.get("intervalPeriod") or {}
    asked = ", ".join(one["payloadType"] for one in event.get("reportDescriptors") or ())
    return (
        f"event {event['id']} {event.get('eventName') or '-'}: {len(event.get('intervals') or ())} intervals"
        f" from {period.get('start', '-')}, each {period.get('duration', '-')}"
        f"{f'; wants {asked}' if asked else ''}"
    )
