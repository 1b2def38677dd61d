"""What `ven doctor` concludes from what it saw: states, words, and what to do."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient import checkup
from venclient.checkup import MIB, Finding, TlsSeen
from venclient.client import Difference, Drift, Update, Wanted
from venclient.messages import connectors as con
from venclient.messages import diagnostics as doc
from venclient.messages import reporting as rep
from venclient.messages import with_code
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.openadr.objects import MqttNotifier, Notifiers, Program, VenResource

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
VEN = ("read_targets", "read_ven_objects", "write_reports", "write_vens", "write_subscriptions")


def seen(**changes: Any) -> TlsSeen:
    """Return a good TLS connection with changes."""
    good: dict[str, Any] = {
        "place": "vtn.example:443",
        "version": "TLSv1.3",
        "issuer": "Good CA",
        "until": NOW + timedelta(days=90, hours=1),
    }
    return TlsSeen(**(good | changes))


def jwt(**claims: Any) -> str:
    """Return an unsigned token with these claims."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


def test_clock_that_nobody_keeps_is_to_look_at() -> None:
    """It may be right; NTP is what makes sure."""
    assert checkup.of_clock(synchronised=True).state == "ok"
    doubtful = checkup.of_clock(synchronised=False)
    assert (doubtful.state, "timedatectl" in doubtful.advice) == ("warn", True)


@pytest.mark.parametrize(
    ("skew_s", "state"), [(0.4, "ok"), (-5.0, "ok"), (6.0, "ok"), (60.0, "fail"), (-6.0, "fail")]
)
def test_row_70_skew_of_a_minute_is_told_with_its_direction(skew_s: float, state: str) -> None:
    """Utilities want 5 s; the header's whole seconds are allowed for."""
    found = checkup.of_skew(skew_s)

    assert found is not None
    assert found.state == state
    if state == "fail":
        assert ("ahead of" in found.what) == (skew_s > 0)
    assert checkup.of_skew(None) is None


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [
        (20_000 * MIB, 30_000 * MIB, "ok"),
        (400 * MIB, 30_000 * MIB, "warn"),
        (40 * MIB, 30_000 * MIB, "fail"),
        (300 * MIB, 1000 * MIB, "ok"),
    ],
)
def test_disk_with_little_room_is_told(free: int, total: int, state: str) -> None:
    """Little is half a GiB, on a small disk a tenth of it."""
    assert checkup.of_space("var", free, total).state == state


def test_wear_is_told_as_bytes_a_day() -> None:
    """Much is a GiB a day; before a whole day there is nothing to report."""
    assert checkup.of_wear([], 60) is None
    little = checkup.of_wear([(10 * MIB, 1000), (30 * MIB, 1000)], 60)
    much = checkup.of_wear([(3000 * MIB, 1000)], 1)
    assert little is not None
    assert (little.state, little.code, little.what[:8]) == ("ok", "VEN-DOC-009", "20.0 MiB")
    assert much is not None
    assert (much.state, "readings.commit_s (now 1)" in much.advice) == ("warn", True)


@pytest.mark.parametrize(
    ("connection", "state", "said"),
    [
        (seen(), "ok", "TLSv1.3, certificate issued by Good CA, valid until 2026-07-30 (90 days left)"),
        (seen(authority="vtn.ca_file (ca.pem)"), "ok", "with vtn.ca_file (ca.pem)"),
        (seen(until=NOW + timedelta(days=3)), "warn", "3 days left"),
        (seen(verified=False), "warn", "not verified"),
        (seen(refused="self-signed"), "fail", str(doc.SYSTEM_AUTHORITIES())),
        (seen(refused="expired", until=NOW - timedelta(days=2)), "fail", "expired"),
        (
            seen(refused="refused", issuer=None, until=None),
            "fail",
            "vtn.example:443: certificate rejected (refused)",
        ),
    ],
)
def test_tls_is_told_with_issuer_and_end(connection: TlsSeen, state: str, said: str) -> None:
    """Who vouches for the VTN, until when, and what is wrong with that."""
    found = checkup.of_tls(connection, NOW)

    assert found.state == state
    assert said in found.what
    assert (found.advice != "") == (state != "ok")


def test_claims_are_read_from_a_jwt_and_from_nothing_else() -> None:
    """Opaque tokens have no claims; whatever else has dots is no JWT."""
    assert checkup.claims_of(jwt(scope="read_all", exp=5)) == {"scope": "read_all", "exp": 5}
    assert checkup.claims_of("opaque") == checkup.claims_of("a.b.c") == checkup.claims_of("a.W10.c") == {}


@given(st.text(max_size=60))
def test_any_token_is_survived(token: str) -> None:
    """A token is whatever a token service makes up."""
    assert isinstance(checkup.claims_of(token), dict)


@pytest.mark.parametrize(
    ("claims", "granted", "scopes"),
    [
        ({"scope": "a b"}, None, {"a", "b"}),
        ({"scope": ["a", "b"]}, "c", {"a", "b", "c"}),
        ({"scp": "a"}, None, {"a"}),
        ({"roles": ["a", 5]}, None, {"a"}),
        ({"scope": 5}, None, None),
        ({}, "", None),
    ],
)
def test_scopes_are_found_where_services_put_them(
    claims: dict[str, Any], granted: str | None, scopes: set[str] | None
) -> None:
    """RFC 6749's answer, RFC 9068's claim, and what others use."""
    assert checkup.scopes_of(claims, granted) == scopes


def test_scopes_are_told_in_words() -> None:
    """What the account may do, without the names of scopes."""
    found = checkup.of_scopes(VEN)

    assert found.state == "ok"
    assert "send reports" in found.what
    assert "register its VEN and resources" in found.what


@pytest.mark.parametrize(
    ("scopes", "state", "asks"),
    [
        (VEN[:2], "fail", "write_reports write_vens"),
        ((), "fail", "read_targets"),
        (VEN[:4], "ok", ""),
        (("read_all", "write_reports", "write_vens"), "ok", ""),
        (("read_targets", "read_ven_objects", "write_reports_ven", "write_vens_ven"), "ok", ""),
        ((*VEN, "write_events"), "warn", "account of a VEN"),
        (None, "ok", ""),
    ],
)
def test_missing_scopes_are_asked_for_by_name(scopes: tuple[str, ...] | None, state: str, asks: str) -> None:
    """Names of other versions and of OpenLEADR count; more than a VEN needs is reported."""
    found = checkup.of_scopes(scopes)

    assert found.state == state
    assert asks in found.advice


def test_subscribing_is_needed_where_a_webhook_is_set_up() -> None:
    """Else notifications come by other ways."""
    assert checkup.of_scopes(VEN[:4], notified=True).advice.endswith("scope write_subscriptions")


@pytest.mark.parametrize(("wanted", "state"), [("3.1", "warn"), ("3.0.1", "ok"), ("probe", "ok")])
def test_version_is_compared_with_the_settings(wanted: str, state: str) -> None:
    """A wrong vtn.version makes everything else fail in strange ways."""
    assert checkup.of_version("3.0.1", wanted).state == state


def test_programs_are_named_and_missing_ones_too() -> None:
    """An empty list is the commonest trouble: it says whom to ask."""
    some = [Program(id="1", program_name="tariff"), Program(id="2", program_name="limits")]

    assert checkup.of_programs(some, 1, ()).what == "tariff and limits, with 1 event"
    assert checkup.of_programs(some, 2, ("limits", "x")).code == "VEN-DOC-073"
    assert "operator" in checkup.of_programs([], 0, ()).advice


def test_registration_tells_drift_and_extra_resources() -> None:
    """Counts, and the command that shows more."""
    held = VenResource(id="R", resource_name="old")
    drift = Drift("attributes.AREA", None, [1.0])
    what = Difference(
        create=(Wanted("new"),), update=(Update(Wanted("old"), held, (drift,), ()),), extra=(held,)
    )
    lacking, extra, wrong = checkup.of_registration("v", "V", what, ["hotel: no place"])

    assert lacking.code == "VEN-DOC-077"
    assert "0 of 2 resources up to date; 1 missing, 1 different" in lacking.what
    assert "ven vtn diff" in lacking.advice
    assert "--delete-extra" in extra.advice
    assert wrong.what == "hotel: no place"
    assert checkup.of_registration("v", "V", Difference(adopt=(held,)), ())[0].state == "ok"
    assert checkup.of_registration("v", None, what, ())[0].state == "warn"


def test_advice_about_a_further_vtn_names_it_in_the_commands() -> None:
    """Without `--vtn` the command would change objects at the first VTN."""
    extra = VenResource(id="R", resource_name="old")
    what = Difference(create=(Wanted("new"),), extra=(extra,))

    found = [
        *checkup.of_registration("v", "V", what, (), vtn="operator"),
        *checkup.of_registration("v", None, what, (), vtn="operator"),
    ]

    assert len(found) == 3
    assert all("ven vtn register --vtn operator" in one.advice for one in found)


@pytest.mark.parametrize(
    ("notifiers", "push", "webhook", "said"),
    [
        (None, "auto", False, "VEN-DOC-082"),
        (Notifiers(), "auto", False, "VEN-DOC-084"),
        (Notifiers(webhook=True), "auto", False, "VEN-DOC-083"),
        (Notifiers(webhook=True), "auto", True, "VEN-DOC-085"),
        (Notifiers(mqtt=MqttNotifier(uris=["mqtts://b"])), "auto", False, "VEN-DOC-085"),
        (Notifiers(websocket=True), "off", False, "VEN-DOC-081"),
    ],
)
def test_row_68_why_it_is_polled_is_said(
    notifiers: Notifiers | None, push: str, webhook: bool, said: str
) -> None:
    """Missing notifiers are not a failure: polling goes on."""
    found = checkup.of_notifiers(notifiers, push=push, webhook=webhook, poll_s=60)

    assert found.state == "ok"
    assert said == found.code


def test_unmet_telemetry_says_what_to_ask_the_operator() -> None:
    """The sentence of the reporting stage, in two lines."""
    text = rep.NOT_CARRIED(
        payload="USAGE", names="hotel", interval="PT1H", why="x", program="p", descriptor="{}"
    )
    (found,) = checkup.of_standing([text], (), 1)

    assert (found.what, found.advice, found.code) == (text, text.hint, "VEN-REP-074")
    assert checkup.of_standing((), (), 0) == []
    assert checkup.of_standing((), (), 3)[0].state == "ok"


def gateway(**changes: Any) -> dict[str, Any]:
    """Return as much of a snapshot as is looked at."""
    return {
        "version": "1",
        "started": NOW.isoformat(),
        "vtn": {"url": "https://vtn.example", "state": "connected"},
        "reports": {"refused": 0},
        **changes,
    }


@pytest.mark.parametrize(
    ("snapshot", "state"),
    [
        (None, "warn"),
        (gateway(), "ok"),
        (gateway(vtn={"url": "u", "state": "unreachable"}), "warn"),
        (gateway(reports={"refused": 2}), "warn"),
        (gateway(others=[gateway(name="grid", vtn={"url": "u", "state": "refused"})]), "warn"),
    ],
)
def test_running_gateway_is_looked_at(snapshot: dict[str, Any] | None, state: str) -> None:
    """One that does not run, lost a VTN or had reports refused is to look at."""
    assert checkup.of_gateway(snapshot, "ven.toml").state == state


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"state": "ok", "last_ok": (NOW - timedelta(minutes=2)).isoformat()}, "ok"),
        ({"state": "starting", "last_error": None}, "warn"),
        ({"state": "dark", "last_error": "no answer; check the cable"}, "fail"),
    ],
)
def test_device_is_judged_by_the_gateway_that_reads_it(row: dict[str, Any], state: str) -> None:
    """It holds the device's only connection, perhaps."""
    found = checkup.of_running_device({"name": "hotel", "endpoint": "modbustcp h", **row}, NOW.isoformat())

    assert (found.check, found.state) == ("device hotel", state)
    if state == "fail":
        assert (found.what, found.advice) == ("no answer", "check the cable")


def test_silent_device_is_a_warning_with_the_age_of_its_value() -> None:
    """A gateway that can reach a source and gets no value says since when."""
    text = with_code(con.SILENT(name="hotel", age="176 d 0 h", limit="15 min 0 s"))
    row = {"name": "hotel", "endpoint": "filereader f", "state": "silent", "last_error": text}
    found = checkup.of_running_device(row, NOW.isoformat())

    assert (found.state, found.code) == ("warn", "VEN-CON-090")
    assert "176 d" in found.what


@pytest.mark.parametrize(
    ("options", "days", "code"),
    [(None, 176, "VEN-RDG-073"), (None, 2, None), ({"quality": {"stale_after_s": 60}}, 1, "VEN-RDG-073")],
)
def test_device_that_is_read_once_and_has_an_old_value_is_a_warning(
    options: dict[str, Any] | None, days: int, code: str | None
) -> None:
    """A file to which nothing is written any more can still be read."""
    link = Connection(ConnectionType.FILEREADER, ActorType.READER, file="f.csv", options=options)
    resource = Resource("m", "Hotel", "DSR", None, "m", link, {}, {})
    found = checkup.of_old_values(resource, NOW - timedelta(days=days), NOW)

    assert (found.code if found else None) == code


def test_many_devices_that_are_well_take_one_line() -> None:
    """Those that are not keep theirs."""
    many = [Finding(f"device {n}", "ok", "fine") for n in range(10)] + [Finding("device x", "fail", "dark")]

    assert checkup.summed(many, 10) == many
    assert checkup.summed(many, 5) == [
        checkup.finding("devices", doc.DEVICES_READ(count=10, total=11)),
        many[-1],
    ]
