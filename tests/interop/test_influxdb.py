"""The mirror against a real InfluxDB 2: the contract of the one in memory, and what only a real one shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.interop.influx_server import RealInflux, real_influx
from tests.readings.influx_contract import METERS, InfluxContract, Site
from tests.readings.influx_settings import settings_of
from venclient.errors import StoreError
from venclient.influx_examination import examine_influx
from venclient.messages import code_of
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import Language
from venclient.readings.influx_query import window_of

NOW = datetime.now(UTC)
LINE = b"meter_reading,resource_id=meter-0 power_kw=1"


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealInflux]:
    """Return a real InfluxDB 2."""
    with real_influx(tmp_path_factory.mktemp("influxdb-2")) as server:
        yield server


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Return a site with nothing in its journal."""
    made = Site(tmp_path)
    yield made
    await made.journal.close()


class TestReal(InfluxContract):
    """A real server does what the stand-in does."""

    @pytest.fixture
    async def peer(self, influx: RealInflux) -> AsyncIterator[RealInflux]:
        """Return the real one."""
        yield influx
        await influx.close_clients()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"version": 3}, "VEN-INF-020"),
        ({"token": "wrong"}, "VEN-INF-002"),
        ({"bucket": "none"}, "VEN-INF-003"),
        ({"org": "none"}, "VEN-INF-003"),
        ({"url": "/dashboard"}, "VEN-INF-018"),
    ],
)
async def test_a_mistake_in_the_settings_is_named_and_nothing_is_lost(
    influx: RealInflux, changed: dict[str, Any], code: str
) -> None:
    """Whatever it answers, with its web page or with an error: the readings wait."""
    influx.make_bucket("meter_data")
    if "url" in changed:
        changed = {"url": influx.url + changed["url"]}
    async with influx.open(**{"bucket": "meter_data", **changed}) as server:
        found = await server.write(LINE, now=NOW)

    assert (found.kind, code_of(found.reason)) == ("later", code)
    assert found.hint


@pytest.mark.parametrize(
    "path", ["/", "/orgs/0123456789abcdef", "/orgs/0123456789abcdef/load-data/buckets?x=1#y"]
)
async def test_an_address_from_the_browser_reaches_the_api(influx: RealInflux, path: str) -> None:
    """The page of the web interface that was looked at does not matter."""
    influx.make_bucket("meter_data")
    async with influx.open("meter_data", url=influx.url + path) as server:
        found = await server.write(LINE, now=NOW)

    assert found.kind == "written"
    assert len(influx.points("meter_data", "meter-0")) == 1


async def test_version_1_of_the_settings_reaches_a_version_2_server(influx: RealInflux) -> None:
    """Version 2 takes the writes of version 1: what counts as sent is there."""
    influx.make_bucket("meter_data")
    async with influx.open("meter_data", version=1) as server:
        found = await server.write(LINE, now=NOW)

    assert (found.kind, len(influx.points("meter_data", "meter-0"))) == ("written", 1)


async def test_a_wrong_version_holds_a_backlog_until_it_is_right(influx: RealInflux, site: Site) -> None:
    """`influx.version = 3` against 2.7: nothing counts as sent, and all of it arrives later."""
    influx.make_bucket("meter_data")
    readings = [site.at(timedelta(minutes=n), n) for n in range(264)]
    async with influx.open("meter_data", version=3) as wrong:
        forwarder = site.forwarder(wrong)
        await site.store(readings, forwarder)
        await forwarder.drain()
        status = forwarder.status()
        await site.stop(forwarder)
    assert (status["state"], status["sent"], influx.points("meter_data", METERS[0])) == ("away", 0, {})
    assert "VEN-INF-020" in status["last_error"]

    async with influx.open("meter_data") as right:
        forwarder = site.forwarder(right)
        await forwarder.drain()
    assert len(influx.points("meter_data", METERS[0])) == 264


@pytest.mark.parametrize("language", ["influxql", "flux"])
async def test_both_languages_give_the_same_history(
    influx: RealInflux, site: Site, language: Language
) -> None:
    """What was written comes back, whichever way it is asked for."""
    influx.make_bucket("meter_data")
    async with influx.open("meter_data", language=language) as server:
        forwarder = site.forwarder(server)
        await site.store([site.at(timedelta(minutes=n), n / 3) for n in range(100)], forwarder)
        await forwarder.drain()
        start, end = site.clock.now() - timedelta(hours=1), site.clock.now()

        assert await server.windows(window_of(METERS[:1], start, end)) == await site.journal.windows(
            METERS[:1], start, end
        )


@pytest.mark.parametrize(
    ("language", "changed", "code"),
    [
        ("flux", {"token": "wrong"}, "VEN-INF-012"),
        ("influxql", {"token": "wrong"}, "VEN-INF-012"),
        ("flux", {"bucket": "none"}, "VEN-INF-021"),
        ("influxql", {"bucket": "none"}, "VEN-INF-022"),
        ("flux", {"url": "/dashboard"}, "VEN-INF-018"),
        ("influxql", {"url": "/dashboard"}, "VEN-INF-018"),
    ],
)
async def test_a_mistake_is_named_when_history_is_asked_for(
    influx: RealInflux, language: Language, changed: dict[str, Any], code: str
) -> None:
    """The hint fits the language that is in use."""
    influx.make_bucket("meter_data")
    if "url" in changed:
        changed = {"url": influx.url + changed["url"]}
    async with InfluxServer(
        influx.account(**{"bucket": "meter_data", "language": language, **changed})
    ) as server:
        with pytest.raises(StoreError) as refused:
            await server.windows(window_of(METERS[:1], NOW - timedelta(hours=1), NOW))

    assert refused.value.code == code
    assert ("influx.language" in refused.value.hint) == (code == "VEN-INF-022")


@pytest.mark.parametrize(
    ("rights", "changed", "expected"),
    [
        (("read", "write"), {}, ["VEN-INF-073", "VEN-INF-077", "VEN-INF-075"]),
        (("read", "write"), {"language": "flux"}, ["VEN-INF-073", "VEN-INF-077", "VEN-INF-075"]),
        (("write",), {}, ["VEN-INF-073", "VEN-INF-079", "VEN-INF-076"]),
        (
            ("write",),
            {"language": "flux", "store": "influxdb"},
            ["VEN-INF-073", "VEN-INF-079", "VEN-INF-021"],
        ),
        (("read",), {}, ["VEN-INF-002"]),
        (("read", "write"), {"bucket": "none"}, ["VEN-INF-003"]),
        (("read", "write"), {"org": "none"}, ["VEN-INF-003"]),
        (("read", "write"), {"version": 3}, ["VEN-INF-020"]),
    ],
)
async def test_doctor_says_what_a_token_may_do(
    influx: RealInflux,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rights: tuple[str, ...],
    changed: dict[str, Any],
    expected: list[str],
) -> None:
    """Bucket, retention, right to write and to read, with tokens of each kind; nothing is written."""
    bucket_id = influx.make_bucket("meter_data", timedelta(days=30))
    monkeypatch.setenv("INFLUX_TOKEN", influx.make_token(bucket_id, rights))
    known = {"url": influx.url, "org": "site", "token": "env:INFLUX_TOKEN"}
    found = await examine_influx(settings_of(tmp_path, **{**known, **changed}), NOW, within_s=20)

    assert [one.code for one in found] == ["VEN-INF-070", *expected]
    assert all(one.advice for one in found if one.state == "fail")
    assert influx.points("meter_data", "ven doctor") == {}
