"""Which InfluxDB an address means, and when two of them are the same destination."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount


@pytest.mark.parametrize(
    "copied",
    [
        "http://influx.lan:8086",
        "http://influx.lan:8086/",
        "http://influx.lan:8086//",
        "http://influx.lan:8086/orgs/0123456789abcdef",
        "http://influx.lan:8086/orgs/0123456789abcdef/",
        "http://influx.lan:8086/orgs/0123456789abcdef/data-explorer?fluxScriptEditor",
        "http://influx.lan:8086/orgs/9a342d299d315555/load-data/buckets#top",
        "http://influx.lan:8086/signin?returnTo=/orgs/9a342d299d315555",
        "http://influx.lan:8086/?bucket=meter_data",
        "http://influx.lan:8086/api/v2",
        "http://influx.lan:8086/api/v2/write?bucket=meter_data",
        " http://influx.lan:8086/ ",
    ],
)
def test_an_address_copied_from_the_browser_is_that_of_the_api(copied: str) -> None:
    """Path, query and fragment of a page of the web interface do not belong to the API."""
    assert InfluxAccount(copied).base_url == "http://influx.lan:8086"


@pytest.mark.parametrize(
    ("behind_a_proxy", "base"),
    [
        ("https://example.com/influx/", "https://example.com/influx"),
        ("https://example.com/influx/orgs/0123456789abcdef/dashboards", "https://example.com/influx"),
        ("https://example.com/orgs/energy", "https://example.com/orgs/energy"),
    ],
)
def test_the_path_of_a_proxy_stays(behind_a_proxy: str, base: str) -> None:
    """Only what surely is a page of InfluxDB is left out."""
    assert InfluxAccount(behind_a_proxy).base_url == base


def account(**changed: object) -> InfluxAccount:
    """Return an account with something changed."""
    known = {"url": "http://influx.lan:8086", "org": "site", "bucket": "meter_data", "token": "a"}
    return InfluxAccount(**{**known, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "http://other.lan:8086"},
        {"url": "http://influx.lan:8087"},
        {"url": "https://influx.lan:8086"},
        {"url": "http://influx.lan:8086/second"},
        {"bucket": "meter_data_2"},
        {"org": "other"},
        {"org": None},
    ],
)
def test_another_server_organisation_or_bucket_is_another_destination(changed: dict[str, object]) -> None:
    """Each of them holds its own readings."""
    assert account(**changed).destination != account().destination


@pytest.mark.parametrize(
    "changed",
    [
        {"token": "b"},
        {"username": "u", "password": "p"},
        {"version": 1},
        {"language": "flux"},
        {"url": "http://INFLUX.lan:8086/"},
        {"url": "http://influx.lan:8086/orgs/0123456789abcdef/alerting"},
        {"timeout_s": 1.0},
    ],
)
def test_another_login_or_way_is_the_same_destination(changed: dict[str, object]) -> None:
    """Nothing is sent again over a renewed token."""
    assert account(**changed).destination == account().destination


def test_the_port_of_the_scheme_may_be_left_out() -> None:
    """Both addresses reach the same server."""
    first, second = "https://influx.lan", "https://influx.lan:443/"
    assert account(url=first).destination == account(url=second).destination


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_secret_is_in_the_key(token: str, password: str) -> None:
    """The key is made of the place alone."""
    assert account(token=token, password=password).destination == account().destination


@pytest.mark.parametrize(
    "url", ["http://gate:p%40ss@influx.lan:8086/x", "http://gate:p@ss@influx.lan:8086/x"]
)
async def test_a_login_in_the_address_is_in_no_message(url: str) -> None:
    """It is used, and neither shown nor part of the key."""
    secret = account(url=url)
    async with InfluxServer(secret) as server:
        assert server.subject == "InfluxDB http://influx.lan:8086/x"
    assert secret.destination == account(url="http://influx.lan:8086/x").destination


@given(st.text())
def test_any_text_as_address_gives_a_key(text: str) -> None:
    """A mistyped address is found out by asking it, not by a crash."""
    assert len(account(url="http://" + text).destination) == 16


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://influx.lan:port", "http://influx.lan:99999", "http://"]
)
async def test_an_address_that_cannot_be_asked_is_a_failed_write(url: str) -> None:
    """The readings wait, and the reason is shown."""
    async with InfluxServer(account(url=url)) as server:
        found = await server.write(b"m f=1 1", now=datetime(2026, 3, 1, tzinfo=UTC))

    assert found.kind == "later"
    assert found.reason
