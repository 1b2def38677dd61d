"""What `ven doctor` finds out about an InfluxDB: with recorded answers, and with Debian's InfluxDB 1."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes.influx import RecordedInflux, recorded_influx
from tests.peers import influxd, pick_port
from tests.readings.influx_settings import settings_of
from venclient.influx_examination import examine_influx

pytestmark = pytest.mark.peer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EMPTY = '{"results":[{"statement_id":0}]}'


@pytest.fixture
def influx() -> Iterator[RecordedInflux]:
    """Return a server of recorded answers."""
    with recorded_influx() as running:
        yield running


async def codes(folder: Path, **changed: Any) -> list[tuple[str, str]]:
    """Return state and code of each finding."""
    found = await examine_influx(settings_of(folder, **changed), NOON, within_s=20)
    assert all(one.check == "InfluxDB" for one in found)
    assert all(one.advice for one in found if one.state != "ok")
    return [(one.state, one.code) for one in found]


def bucket(seconds: int) -> str:
    """Return what version 2 says of a bucket."""
    return f'{{"buckets":[{{"name":"meter_data","retentionRules":[{{"everySeconds":{seconds}}}]}}]}}'


async def test_without_an_influxdb_there_is_nothing_to_say(tmp_path: Path) -> None:
    """Most sites have none."""
    assert await codes(tmp_path) == []


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(604_800, ("warn", "VEN-INF-088")), (7_776_000, ("ok", "VEN-INF-077")), (0, ("ok", "VEN-INF-078"))],
)
async def test_a_bucket_in_order(
    influx: RecordedInflux, tmp_path: Path, seconds: int, kept: tuple[str, str]
) -> None:
    """Version, right to write, retention, right to read; a retention of a week is worth a word."""
    influx.answer(204, X_Influxdb_Version="v2.7.12")
    for answer in (204, ""), (200, bucket(seconds)), (200, EMPTY):
        influx.answer(*answer)

    found = await codes(tmp_path, url=influx.url, org="site")
    assert found == [("ok", "VEN-INF-070"), ("ok", "VEN-INF-073"), kept, ("ok", "VEN-INF-075")]
    assert [one.body for one in influx.asked[:3]] == ["", "", ""]


@pytest.mark.parametrize(
    ("store", "code"), [("sqlite", ("ok", "VEN-INF-076")), ("influxdb", ("fail", "VEN-INF-012"))]
)
async def test_a_token_that_may_not_read_matters_where_history_is_read(
    influx: RecordedInflux, tmp_path: Path, store: str, code: tuple[str, str]
) -> None:
    """A token for writing alone is the better one otherwise."""
    for answer in (204, ""), (204, ""), (200, '{"buckets":[]}'), (401, '{"message":"unauthorized"}'):
        influx.answer(*answer)

    found = await codes(tmp_path, url=influx.url, org="site", store=store)
    assert found[2:] == [("ok", "VEN-INF-079"), code]


@pytest.mark.parametrize(
    ("answers", "changed", "expected"),
    [
        ([(200, "<html>log in</html>")], {}, [("fail", "VEN-INF-018")]),
        ([(204, ""), (401, '{"message":"no"}')], {}, [("ok", "VEN-INF-071"), ("fail", "VEN-INF-002")]),
        ([(204, ""), (403, '{"message":"no"}')], {}, [("ok", "VEN-INF-071"), ("fail", "VEN-INF-002")]),
        ([(204, ""), (404, '{"message":"x"}')], {}, [("ok", "VEN-INF-071"), ("fail", "VEN-INF-003")]),
        ([(204, ""), (503, "")], {}, [("ok", "VEN-INF-071"), ("fail", "VEN-INF-089")]),
        (
            [(200, '{"version":"3.1.0"}'), (400, '{"error":"incoming write was empty"}'), (200, EMPTY)],
            {"version": 3},
            [("ok", "VEN-INF-070"), ("ok", "VEN-INF-073"), ("ok", "VEN-INF-079"), ("ok", "VEN-INF-075")],
        ),
    ],
)
async def test_what_is_wrong_is_named(
    influx: RecordedInflux,
    tmp_path: Path,
    answers: list[tuple[int, str]],
    changed: dict[str, Any],
    expected: list[tuple[str, str]],
) -> None:
    """Each with what to do, and nothing is asked that rests on what failed."""
    for answer in answers:
        influx.answer(*answer)

    assert await codes(tmp_path, url=influx.url, org="site", **changed) == expected
    assert len(influx.asked) == len(answers)


async def test_an_address_from_the_browser_is_used_and_named(influx: RecordedInflux, tmp_path: Path) -> None:
    """It works, and the settings should say what is meant."""
    influx.answer(204)
    found = await codes(tmp_path, url=f"{influx.url}/orgs/0123456789abcdef/buckets?x", org="site", version=3)

    assert found[0] == ("warn", "VEN-INF-072")
    assert {one.path for one in influx.asked} == {"/ping", "/api/v3/write_lp", "/query"}


async def test_nobody_there(tmp_path: Path, free_port: int) -> None:
    """One finding, at once."""
    found = await codes(tmp_path, url=f"http://127.0.0.1:{free_port}", version=1)

    assert found == [("fail", "VEN-INF-009")]


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return an InfluxDB 1 with users: root, ro who may read "kept", and wo who may write it."""
    folder = tmp_path_factory.mktemp("influxd")
    with influxd(folder, pick_port(), HTTP_AUTH_ENABLED="true") as url:
        with httpx2.Client(base_url=url, trust_env=False) as http:
            http.post("/query", data={"q": "CREATE USER root WITH PASSWORD 'pw' WITH ALL PRIVILEGES"})
            for text in (
                "CREATE DATABASE kept WITH DURATION 30d",
                "CREATE USER ro WITH PASSWORD 'pw'",
                "GRANT READ ON kept TO ro",
                "CREATE USER wo WITH PASSWORD 'pw'",
                "GRANT WRITE ON kept TO wo",
            ):
                http.post("/query", data={"q": text}, auth=("root", "pw"))
        yield url


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [("ok", "VEN-INF-073"), ("ok", "VEN-INF-077"), ("ok", "VEN-INF-075")]),
        ({"bucket": "new"}, [("ok", "VEN-INF-074")]),
        ({"username": "wo"}, [("ok", "VEN-INF-073"), ("ok", "VEN-INF-079"), ("ok", "VEN-INF-076")]),
        ({"username": "ro"}, [("fail", "VEN-INF-002")]),
        ({"username": "unknown"}, [("fail", "VEN-INF-002")]),
        ({"version": 3}, [("fail", "VEN-INF-020")]),
        ({"version": 2, "org": "site"}, [("fail", "VEN-INF-020")]),
    ],
)
async def test_a_real_influxdb_1(
    first_version: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    expected: list[tuple[str, str]],
) -> None:
    """Its users may write, read, both or nothing; its version is named where another is set."""
    monkeypatch.setenv("INFLUX_PASSWORD", "pw")
    known = {"url": first_version, "version": 1, "bucket": "kept", "username": "root"}
    found = await codes(tmp_path, **{**known, "password": "env:INFLUX_PASSWORD", **changed})

    assert found == [("ok", "VEN-INF-070"), *expected]


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, ""), (200, "Success"), (200, "OK\n")])
async def test_what_accepts_any_write_and_answers_no_question_is_no_influxdb(
    influx: RecordedInflux, tmp_path: Path, status: int, body: str
) -> None:
    """A network or server that answers everything with success would swallow all readings."""
    influx.answer(status, body)
    found = await codes(tmp_path, url=influx.url, org="site", store="sqlite")
    assert found[-1][0] == "fail"
    assert found[-1][1] in ("VEN-INF-017", "VEN-INF-019")


async def test_a_version_2_server_asked_as_version_1_is_not_called_endless(
    influx: RecordedInflux, tmp_path: Path
) -> None:
    """It names one policy without an end for every bucket, whatever the bucket keeps."""
    policy = '"columns":["name","duration","default"],"values":[["autogen","0s",true]]'
    answers = [(204, ""), (204, ""), (200, f'{{"results":[{{"series":[{{{policy}}}]}}]}}'), (200, EMPTY)]
    for status, body in answers:
        influx.answer(status, body, X_Influxdb_Version="v2.7.12")
    found = await codes(tmp_path, url=influx.url, version=1)
    assert [code for _, code in found] == ["VEN-INF-070", "VEN-INF-073", "VEN-INF-079", "VEN-INF-075"]
