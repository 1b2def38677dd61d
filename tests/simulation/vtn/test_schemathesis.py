"""The local VTN against the official YAML, asked by a fuzzer that neither of them knows (schemathesis)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.places import SHARED
from tests.simulation.vtn.contract import answers_document
from venclient.simulation.vtn import LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

YAML = SHARED / "openadr" / "3.1.1" / "openadr3.yaml"
#: How often each operation is asked: bodies have most to get wrong; those of reports, the deepest, are
#: costly to make up.
EXAMPLES = {"post": 12, "put": 12, "delete": 4, "get": 5}
OF_REPORTS = 8
CLIENTS = [{"id": "bl-1", "secret": "s", "role": "bl"}, {"id": "ven-1", "secret": "s"}]


@pytest.fixture(scope="module")
def vtn() -> Iterator[LocalVtn]:
    """Run a local VTN in a thread, with an object of each kind."""
    server = LocalVtn(clients=CLIENTS)
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server:
            program = server.add_program({"programName": "flex"}, object_id="program-1")
            server.add_event({"programID": program["id"], "intervals": []}, object_id="event-1")
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait(20)
    yield server
    ended.set()
    thread.join()


def token(vtn: LocalVtn, client_id: str) -> str:
    """Return a token of a client."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "s"}
    return str(httpx2.post(f"{vtn.url}/auth/token", data=form, trust_env=False).json()["access_token"])


def operations() -> list[tuple[str, str, str]]:
    """Return every operation of the YAML with who asks; none where it is not there.

    Both roles ask where the answer depends on the role. Who may not write at all is refused before the
    body is looked at, and the token service and the notifiers answer all the same.
    """
    if not YAML.exists():
        return []
    paths = yaml.safe_load(YAML.read_text())["paths"]
    return [
        (path, verb, role)
        for path, item in paths.items()
        for verb in EXAMPLES
        if verb in item
        for role in asking(path, verb)
    ]


def asking(path: str, verb: str) -> tuple[str, ...]:
    """Return who asks an operation."""
    kind = path.split("/")[1]
    if kind == "auth" or (kind == "notifiers" and "vens" not in path):
        return ("bl-1",)
    if verb == "get" or kind in ("vens", "resources"):
        return ("bl-1", "ven-1")
    return ("ven-1",) if kind in ("reports", "subscriptions") else ("bl-1",)


@pytest.fixture(scope="module")
def schema() -> Any:
    """Return the YAML as schemathesis reads it, without what it says against itself."""
    if not YAML.exists():
        pytest.skip("the official openadr3.yaml is not in ../shared")
    return schemathesis.openapi.from_dict(answers_document(YAML))


@pytest.mark.parametrize(("path", "verb", "role"), operations())
def test_answers_keep_to_the_official_yaml(
    schema: Any, vtn: LocalVtn, path: str, verb: str, role: str
) -> None:
    """Whatever fits the YAML, or nearly does, gets an answer of the YAML, and never a server error."""
    operation = schema[path][verb.upper()]
    headers = {"Authorization": f"Bearer {token(vtn, role)}"}
    checks = [not_a_server_error, content_type_conformance, response_schema_conformance]

    def ask(case: Any) -> None:
        case.call_and_validate(base_url=vtn.url, headers=headers, checks=checks)

    quiet = settings(
        max_examples=OF_REPORTS
        if path.startswith("/reports") and verb in ("post", "put")
        else EXAMPLES[verb],
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    fuzzed: Any = given(operation.as_strategy())
    quiet(fuzzed(ask))()
