"""Whatever is sent, the VTN answers or refuses: it never fails."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.vtn.bodies import GOOD, changed
from tests.simulation.vtn.test_schema import VALUES, places
from venclient.clock import ManualClock
from venclient.simulation.vtn.auth import Accounts, AuthRefusal, make_client
from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.query import PARAMETERS, read_query
from venclient.simulation.vtn.schema import read_body
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import KINDS, Store

# a fixed owner of everything: what is fuzzed must get past the scopes
CLIENT = make_client(
    "both", scopes={"read_ven_objects", "read_targets", "write_programs", "write_events", "write_reports",
                    "write_subscriptions", "write_vens"}
)  # fmt: skip


def stocked_service() -> tuple[Service, dict[str, str]]:
    """Build a service with one object of each kind that points to the others; return it and their ids."""
    clock = ManualClock()
    service = Service(Store(clock.now), clock)
    ids: dict[str, str] = {}
    for kind in ("program", "ven", "event", "report", "subscription", "resource"):
        content = {**GOOD[kind], "clientID": "both"}
        content.pop("targets", None)
        for member, whole in (("programID", "program"), ("eventID", "event"), ("venID", "ven")):
            if member in content:
                content[member] = ids[whole]
        ids[kind] = service.store.create(kind, content).id
    return service, ids


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_body_makes_the_vtn_fail(data: st.DataObject) -> None:
    """Any change of a good body is stored or refused, by POST and by PUT, and listings still work."""
    service, ids = stocked_service()
    kind = data.draw(st.sampled_from(KINDS))
    body = changed(kind, data.draw(st.sampled_from(places(GOOD[kind]))), data.draw(VALUES))
    for member, whole in (("programID", "program"), ("eventID", "event"), ("venID", "ven")):
        if member in body and data.draw(st.booleans()):
            body[member] = ids[whole]
    raw = json.dumps(body).encode()
    with contextlib.suppress(Refusal):
        service.create(CLIENT, kind, raw)
    with contextlib.suppress(Refusal):
        service.update(CLIENT, kind, ids[kind], raw)
    query = b"active=true" if kind == "event" else b""
    for _ in service.search(CLIENT, kind, read_query(kind, query)):
        pass


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_no_bytes_make_the_parser_fail(kind: str, raw: bytes) -> None:
    """Bytes that are not a body are refused as a bad request."""
    with contextlib.suppress(Refusal):
        read_body(kind, raw, is_bl=False)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PARAMETERS)), st.binary(max_size=40), st.sampled_from(
    [b"skip", b"limit", b"targets", b"objects", b"active", b"programID", b"venName"]
))  # fmt: skip
def test_no_query_makes_the_vtn_fail(kind: str, raw: bytes, name: bytes) -> None:
    """A query is read or refused."""
    with contextlib.suppress(Refusal):
        read_query(kind, name + b"=" + raw)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text("client_idsecret=&%+ ", max_size=60).map(str.encode))
def test_no_form_makes_the_token_endpoint_fail(raw: bytes) -> None:
    """A form that is none buys no token."""
    accounts = Accounts([CLIENT], ManualClock())
    with contextlib.suppress(AuthRefusal):
        accounts.issue(raw)
    assert accounts.issued == 0
