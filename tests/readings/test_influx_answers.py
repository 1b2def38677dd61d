"""What InfluxDB 1, 2 and 3 are asked and answer, from recorded answers and their documentation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.influx import RecordedInflux, recorded_influx
from tests.kinds import Page, captive_portal
from venclient.errors import ConfigError, StoreError
from venclient.messages import code_of
from venclient.model.reading import Quality, Reading
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount, Language
from venclient.readings.influx_answers import verdict
from venclient.readings.influx_query import (
    Fields,
    flux,
    flux_points,
    flux_text,
    influxql,
    influxql_fields,
    influxql_points,
    quoted_text,
    window_of,
    windows_of,
)
from venclient.readings.line_protocol import escaped

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINE = b"meter_reading,resource_id=b power_kw=1.0 1772366400000"
CONFLICT = (
    '{"error":"partial write: field type conflict: input field \\"energy_kwh\\" on measurement '
    '\\"meter_reading\\" is type integer, already exists as type float dropped=1"}'
)
DISK_FULL = '{"error":"engine: error writing WAL entry: write /wal/_00001.wal: no space left on device"}'
V3_PARTIAL = (
    '{"error":"partial write of line protocol occurred","data":[{"original_line":"meter_reading a=b",'
    '"line_number":2,"error_message":"invalid column type for column \'a\'"}]}'
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (204, "", "written", ""),
        (400, CONFLICT, "refused", "type conflict"),
        (400, '{"error":"unable to parse \'bad\': missing fields"}', "refused", "missing fields"),
        (400, '{"error":"partial write: points beyond retention policy dropped=3"}', "refused", "retention"),
        (400, '{"code":"invalid","message":"unable to parse \'x\'"}', "refused", "unable to parse"),
        (422, '{"code":"unprocessable entity","message":"failure writing points"}', "refused", "failure"),
        (400, V3_PARTIAL, "refused", "partial write"),
        (400, '{"error":"database is required"}', "later", "database is required"),
        (
            400,
            'requestURI: /api/v3/write_lp; unsupported path requested: "/api/v3/write_lp"',
            "later",
            "path",
        ),
        (401, '{"code":"unauthorized","message":"unauthorized access"}', "later", "unauthorized access"),
        (401, '{"error":"authorization failed"}', "later", "authorization failed"),
        (403, "", "later", "403"),
        (404, '{"error":"database not found: \\"meter_data\\""}', "no database", "not found"),
        (404, '{"code":"not found","message":"bucket \\"meter_data\\" not found"}', "later", "bucket"),
        (404, "404 page not found\n", "later", "page not found"),
        (413, '{"error":"Request Entity Too Large"}', "too large", "Large"),
        (429, '{"code":"too many requests"}', "later", "too many"),
        (500, DISK_FULL, "later", "no space left on device"),
        (502, "<html>Bad Gateway</html>", "later", "Bad Gateway"),
        (302, "", "later", "nowhere"),
    ],
)
def test_an_answer_means(status: int, body: str, kind: str, reason: str) -> None:
    """Only what is wrong with the lines themselves is refused for good; our settings' mistakes are not."""
    found = verdict(status, {}, body.encode(), now=NOON)

    assert found.kind == kind
    assert reason in found.reason


def test_a_refusal_says_which_lines_and_which_field() -> None:
    """Version 1 counts and names the field; version 3 gives the lines' numbers."""
    first = verdict(400, {}, CONFLICT.encode(), now=NOON)
    third = verdict(400, {}, V3_PARTIAL.encode(), now=NOON)

    assert (first.dropped, first.culprit) == (1, "energy_kwh")
    assert third.bad_lines == {1: "invalid column type for column 'a'"}


PAGE = b"""<!doctype html><html><head><title>Hotel &amp; Spa: log in</title>
<script>location = "/"</script></head><body></body></html>"""


@pytest.mark.parametrize(
    ("status", "headers", "content"),
    [
        (200, {"content-type": "text/html; charset=utf-8"}, PAGE),
        (200, {}, b"\xef\xbb\xbf \r\n<HTML><body>hello"),
        (200, {}, b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'),
        (200, {"content-type": "text/html"}, b""),
        (200, {}, b'{"error":"timeout"}'),
        (200, {}, b'{"code":"invalid","message":"no"}'),
        (201, {}, b""),
        (202, {}, b'{"accepted":true}'),
        (206, {}, b""),
        (404, {}, PAGE),
        (400, {}, b"<html>unable to parse</html>"),
        (422, {}, b"<html>partial write dropped=1</html>"),
    ],
)
def test_what_is_no_answer_of_influxdb_is_not_taken_for_one(
    status: int, headers: dict[str, str], content: bytes
) -> None:
    """A web page, or a status that a write never has: nothing was written, and nothing is given up."""
    found = verdict(status, headers, content, now=NOON)

    assert found.kind == "later"


@given(captive_portal())
def test_no_page_writes_or_refuses_a_reading(page: Page) -> None:
    """Whatever its status and words: the readings are sent again later."""
    found = verdict(*page, now=NOON)
    assert (found.kind, found.dropped, found.bad_lines) == ("later", None, {})
    assert 0 < len(found.reason) < 600


@pytest.mark.parametrize("content", [b"", b"{}", b'{"results":[{}]}', b"\n"])
def test_status_200_without_a_page_is_a_write(content: bytes) -> None:
    """Some servers and proxies say 200 for 204."""
    assert verdict(200, {}, content, now=NOON).kind == "written"


def test_a_page_is_named_by_its_title() -> None:
    """Whoever reads the log sees whose page it is, and what to do."""
    found = verdict(200, {}, PAGE, now=NOON)

    assert code_of(found.reason) == "VEN-INF-018"
    assert "log in" in found.reason
    assert "influx.url" in found.hint


def test_a_server_that_tells_another_version_is_named() -> None:
    """It answers a path of another version with its web page; what to set is said."""
    account = InfluxAccount("http://influx.lan:8086", 3)
    found = verdict(200, {"x-influxdb-version": "v2.7.12"}, PAGE, now=NOON, account=account)

    assert code_of(found.reason) == "VEN-INF-020"
    assert found.hint == "set influx.version = 2"


def retention_error(dropped: int, key: str = "meter_reading,meter_point_id=57,resource_id=hotel") -> bytes:
    """Return what InfluxDB 2.7.12 answers to points that are older than its bucket keeps."""
    point = f"point {key} at 2025-01-01T00:00:00Z dropped because it violates a Retention Policy Lower Bound"
    bound = "at 2026-02-22T12:00:00.123456789Z"
    said = (
        f"failure writing points to database: partial write: dropped {dropped} points outside retention "
        f"policy of duration 168h0m0s - oldest {point} {bound}, newest {point} {bound} dropped={dropped} "
        "for database: 687cc599fb0317e0 for retention policy: autogen"
    )
    return msgspec.json.encode({"code": "unprocessable entity", "message": said})


@given(st.integers(1, 1_000_000), st.text("abcæøå \\=,", max_size=4000))
def test_the_count_at_the_end_of_a_long_answer_is_found(dropped: int, name: str) -> None:
    """Whatever the names of the series are, and however far behind them it stands."""
    key = f"meter_reading,resource_id={escaped(name)}x"
    found = verdict(422, {}, retention_error(dropped, key), now=NOON)

    assert (found.kind, found.dropped, found.too_old) == ("refused", dropped, True)
    assert code_of(found.reason) == "VEN-INF-029"
    assert "168h0m0s" in found.reason


@pytest.mark.parametrize("name", ["dropped=7", 'dropped=7 "dropped=8'])
def test_a_field_called_like_the_count_is_not_taken_for_it(name: str) -> None:
    """The name of a field stands in quotes."""
    quoted = name.replace('"', '\\"')
    said = f'partial write: field type conflict: input field "{quoted}" on measurement "m" is type float, '
    content = msgspec.json.encode({"error": said + "already exists as type integer dropped=2"})

    found = verdict(400, {}, content, now=NOON)
    assert (found.dropped, found.culprit, found.too_old) == (2, name, False)


def test_points_from_the_future_are_not_taken_for_old_ones() -> None:
    """A server that limits how far ahead a point may be says so with the same words."""
    content = retention_error(3).replace(b"Retention Policy Lower", b"Write Window Upper")

    assert not verdict(422, {}, content, now=NOON).too_old


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("Sun, 01 Mar 2026 12:01:00 GMT", 60), ("soon", None), ("", None)],
)
def test_retry_after_in_both_forms(text: str, seconds: float | None) -> None:
    """Seconds, or a date; anything else is as if it were not there."""
    assert verdict(429, {"retry-after": text}, b"", now=NOON).retry_after_s == seconds


@pytest.fixture
def influx() -> Iterator[RecordedInflux]:
    """Yield a server of recorded answers."""
    with recorded_influx() as running:
        yield running


@pytest.mark.peer
@pytest.mark.parametrize(
    ("account", "path", "query", "login"),
    [
        (
            {"version": 1, "username": "gate", "password": "pw"},
            "/write",
            {"db": "meter_data", "precision": "ms"},
            "Basic Z2F0ZTpwdw==",
        ),
        (
            {"version": 2, "org": "site", "token": "t0ken"},
            "/api/v2/write",
            {"bucket": "meter_data", "org": "site", "precision": "ms"},
            "Token t0ken",
        ),
        (
            {"version": 3, "token": "t0ken"},
            "/api/v3/write_lp",
            {"db": "meter_data", "precision": "millisecond"},
            "Bearer t0ken",
        ),
    ],
)
async def test_each_version_is_written_to_in_its_way(
    influx: RecordedInflux, account: dict[str, object], path: str, query: dict[str, str], login: str
) -> None:
    """Path, database or bucket, precision and login are what that version wants; the body is gzip."""
    influx.answer(204)
    async with InfluxServer(InfluxAccount(influx.url, **account)) as server:  # type: ignore[arg-type]
        assert (await server.write(LINE, now=NOON)).kind == "written"

    [asked] = influx.asked
    assert (asked.path, asked.query, asked.headers["Authorization"]) == (path, query, login)
    assert (asked.body.encode(), asked.headers["Content-Encoding"]) == (LINE, "gzip")


@pytest.mark.peer
async def test_no_message_holds_a_secret(influx: RecordedInflux) -> None:
    """A server that echoes the token does not get it into our log."""
    influx.answer(401, '{"message":"token t0ken-of-ours is unknown"}')
    account = InfluxAccount(influx.url, 2, org="site", token="t0ken-of-ours")
    async with InfluxServer(account) as server:
        found = await server.write(LINE, now=NOON)
        with pytest.raises(StoreError) as refused:
            await server.windows(window_of(["b"], NOON, NOON))

    assert "t0ken" not in found.reason + str(refused.value) + repr(account)
    assert "influx.token" in found.hint


async def test_nobody_there_is_no_exception(free_port: int) -> None:
    """A write to a closed port is one for later."""
    async with InfluxServer(InfluxAccount(f"http://127.0.0.1:{free_port}", 1)) as server:
        found = await server.write(LINE, now=NOON)

    assert found.kind == "later"
    assert "influx.url" in found.hint


def test_a_wrong_certificate_file_is_named(tmp_path: Path) -> None:
    """It is a mistake in the settings, reported at the start."""
    with pytest.raises(ConfigError, match=r"influx\.ca_file"):
        InfluxServer(InfluxAccount("https://influx.example.com", ca_file=tmp_path / "none.pem"))


# ---- questions

WINDOW = window_of(["b", "it's"], NOON, NOON + timedelta(seconds=60))


def test_influxql_asks_for_the_window_and_each_quantitys_neighbours() -> None:
    """One statement for what is inside, two for each quantity; names are quoted."""
    text = influxql(WINDOW, Fields(("power_kw",), frozenset({"power_kw_quality"})))
    inside, before, after = text.split("; ")

    who = """("resource_id" = 'b' OR "resource_id" = 'it\\'s')"""
    columns = 'SELECT "power_kw", "power_kw_quality" FROM "meter_reading"'
    assert inside == (
        f"{columns} WHERE {who} AND time >= 1772366400000ms AND time <= 1772366460000ms "
        'GROUP BY "resource_id"'
    )
    assert before.endswith('time < 1772366400000ms GROUP BY "resource_id" ORDER BY time DESC LIMIT 1')
    assert after.endswith('GROUP BY "resource_id" ORDER BY time ASC LIMIT 1')


INFLUXQL = b"""{"results":[{"statement_id":0,"series":[{"name":"meter_reading","tags":{"resource_id":"b"},
"columns":["time","energy_kwh","power_kw","power_kw_quality"],"values":[[1772366400000,null,1.5,"estimated"],
[1772366410000,7,2,null]]}]},{"statement_id":1,"series":[{"name":"meter_reading","tags":{"resource_id":"b"},
"columns":["time","power_kw"],"values":[[1772366390000,9]]}]},{"statement_id":2}]}"""


def test_influxql_answers_become_readings() -> None:
    """Numbers are readings, texts their qualities, null is nothing; neighbours stand at the ends."""
    found = windows_of(influxql_points(INFLUXQL), WINDOW)

    assert found == {
        "b": {
            "power_kw": [
                Reading("b", "power_kw", 9, NOON - timedelta(seconds=10)),
                Reading("b", "power_kw", 1.5, NOON, Quality.ESTIMATED),
                Reading("b", "power_kw", 2, NOON + timedelta(seconds=10)),
            ],
            "energy_kwh": [Reading("b", "energy_kwh", 7, NOON + timedelta(seconds=10))],
        },
        "it's": {},
    }


def test_fields_are_told_from_qualities() -> None:
    """A text field is a quality only beside a quantity of that name."""
    content = (
        b'{"results":[{"series":[{"name":"meter_reading","columns":["fieldKey","fieldType"],"values":'
        b'[["power_kw","float"],["power_kw_quality","string"],["note","string"],["n","integer"]]}]}]}'
    )

    assert influxql_fields(content) == Fields(("n", "power_kw"), frozenset({"power_kw_quality"}))


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"results":[{"error":"database not found: x"}]}',
        b'{"results":[{"partial":true,"series":[]}]}',
        b'{"results":[{"series":[{"partial":true}]}]}',
        b'{"results":[{"series":[{"tags":{"resource_id":"b"},"columns":["time","a"],"values":[[1]]}]}]}',
        b'{"results":[{"series":[{"tags":{"resource_id":"b"},"columns":["time","a"],"values":[[1,[]]]}]}]}',
        b'{"results":[{"series":[{"tags":{"resource_id":"b"},"columns":["time"],"values":[[1e99]]}]}]}',
        b"\xff\xfe",
    ],
)
def test_a_broken_or_partial_answer_is_an_error(content: bytes) -> None:
    """What is not the whole truth is not taken for it."""
    with pytest.raises(StoreError):
        influxql_points(content)


FLUX = (
    "#datatype,string,long,dateTime:RFC3339,double,string,string\r\n#group,false,false,false,false,true,true\r\n"
    "#default,inside,,,,,\r\n,result,table,_time,_value,_field,resource_id\r\n"
    ",,0,2026-03-01T12:00:00Z,1.5,power_kw,b\r\n,,0,2026-03-01T12:00:10.123456789Z,2,power_kw,b\r\n\r\n"
    "#datatype,string,long,dateTime:RFC3339,string,string,string\r\n#group,false,false,false,false,true,true\r\n"
    "#default,inside,,,,,\r\n,result,table,_time,_value,_field,resource_id\r\n"
    ",,1,2026-03-01T12:00:00Z,estimated,power_kw_quality,b\r\n\r\n"
    "#datatype,string,long,dateTime:RFC3339,double,string,string\r\n#group,false,false,false,false,true,true\r\n"
    "#default,before,,,,,\r\n,result,table,_time,_value,_field,resource_id\r\n"
    ',,0,2026-03-01T11:59:50Z,9,power_kw,"b"\r\n\r\n'
)


def test_flux_answers_become_the_same_readings() -> None:
    """Annotated CSV gives what InfluxQL gives."""
    found = windows_of(flux_points(FLUX.encode()), WINDOW)

    assert found["b"]["power_kw"] == [
        Reading("b", "power_kw", 9, NOON - timedelta(seconds=10)),
        Reading("b", "power_kw", 1.5, NOON, Quality.ESTIMATED),
        Reading("b", "power_kw", 2, NOON + timedelta(seconds=10, milliseconds=123)),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"error,reference\r\n,failed to create physical plan,\r\n",
        b"#datatype,string,string\r\n#default,,\r\n,error,reference\r\n,no such bucket,897\r\n",
        b"<html>\r\nbusy\r\n",
        b"\xff\xfe",
    ],
)
def test_a_flux_error_is_an_error(content: bytes) -> None:
    """Flux reports errors in the table of a good answer."""
    with pytest.raises(StoreError):
        flux_points(content)


@pytest.mark.peer
async def test_flux_is_asked_at_its_own_address(influx: RecordedInflux) -> None:
    """Path, organisation and dialect; the answer is the readings."""
    influx.answer(200, FLUX)
    account = InfluxAccount(influx.url, 2, org="site", token="t0ken", language="flux")
    async with InfluxServer(account) as server:
        found = await server.windows(WINDOW)

    [asked] = influx.asked
    assert (asked.path, asked.query) == ("/api/v2/query", {"org": "site"})
    assert '"annotations":["datatype","group","default"]' in asked.body
    assert len(found["b"]["power_kw"]) == 3


def test_texts_in_questions_cannot_leave_their_quotes() -> None:
    """A resource id is data, whatever is in it."""
    assert quoted_text("a' OR 'x") == "'a\\' OR \\'x'"
    assert flux_text('a" or ${r}\\') == '"a\\" or \\${r}\\\\"'
    assert "stop: 2026-03-01T12:01:00.001Z" in flux(WINDOW, "meter_data")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("language", "body", "code"),
    [
        (
            "flux",
            '{"code":"not found","message":"failed to initialize: could not find bucket"}',
            "VEN-INF-021",
        ),
        ("influxql", '{"code":"not found","message":"database not found"}', "VEN-INF-013"),
        ("influxql", '{"code":"not found","message":"organization name not found"}', "VEN-INF-021"),
    ],
)
async def test_a_hint_does_not_propose_what_is_set_already(
    influx: RecordedInflux, language: Language, body: str, code: str
) -> None:
    """With Flux in use, the way out is not Flux."""
    influx.answer(404, body)
    account = InfluxAccount(influx.url, 2, org="site", token="t0ken", language=language)
    async with InfluxServer(account) as server:
        with pytest.raises(StoreError, match=code) as refused:
            await server.windows(WINDOW)

    assert ("influx.language" in refused.value.hint) == (code == "VEN-INF-013")


@pytest.mark.peer
@pytest.mark.parametrize("language", ["flux", "influxql"])
async def test_a_page_is_no_history(influx: RecordedInflux, language: Language) -> None:
    """A captive portal's page is not read as an empty result."""
    influx.answer(200, PAGE.decode())
    account = InfluxAccount(influx.url, 2, org="site", token="t0ken", language=language)
    async with InfluxServer(account) as server:
        with pytest.raises(StoreError, match="VEN-INF-018"):
            await server.windows(WINDOW)


@pytest.mark.peer
async def test_a_page_makes_no_database(influx: RecordedInflux) -> None:
    """A page as answer to CREATE DATABASE is a failure."""
    influx.answer(200, PAGE.decode())
    async with InfluxServer(InfluxAccount(influx.url, 1)) as server:
        assert code_of(await server.make_database()) == "VEN-INF-018"
