"""Exchanges: repeated where that is safe, with pauses, and failures reported in our words."""

from __future__ import annotations

import gzip
import json
import logging
from datetime import timedelta

import httpx2
import pytest

from tests.client.fake_vtn import BASE, FakeVtn, SwiftClock, problem
from tests.codes import raises_code
from venclient import __version__
from venclient.errors import ConfigError, VtnError, VtnProblem, VtnUnreachable
from venclient.openadr.objects import Report

REPORT = Report(event_id="E1", client_name="gw", report_name="r", resources=[])


@pytest.mark.parametrize("url", [BASE, BASE + "/"])
async def test_row_02_the_base_path_is_kept(vtn: FakeVtn, url: str) -> None:
    """Requests go below the base path, whether or not the address ends with a slash."""
    async with vtn.client(url=url, client_id=None) as client:
        await client.programs()

    assert str(vtn.requests[0].url).startswith(f"{BASE}/programs?")


async def test_requests_say_who_asks(vtn: FakeVtn) -> None:
    """The User-Agent names venclient and its version."""
    async with vtn.client() as client:
        await client.programs()

    assert {request.headers["User-Agent"] for request in vtn.requests} == {f"venclient/{__version__}"}


async def test_row_15_the_problem_document_is_kept(vtn: FakeVtn) -> None:
    """A 4xx raises the VTN's own words at once, without another try."""
    vtn.faults = [problem(400, title="Bad Request", detail="limit must be 1..50")]
    async with vtn.client() as client:
        with raises_code(VtnProblem, "VEN-VTN-017") as caught:
            await client.events()

    error = caught.value
    assert (error.status, error.title, error.detail) == (400, "Bad Request", "limit must be 1..50")
    assert not error.transient
    assert error.subject == f"GET {BASE}/events"
    assert len(vtn.calls("GET", "events")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(502, html="<h1>Bad Gateway</h1>"),
        httpx2.Response(500),
        httpx2.Response(500, json=["no", "object"]),
        httpx2.Response(500, json={"status": "many", "detail": 7}),
        httpx2.Response(500, content=b"\xff\xfe\x00"),
    ],
)
async def test_row_15_errors_that_are_no_problem_documents(vtn: FakeVtn, answer: httpx2.Response) -> None:
    """HTML, nothing, or odd JSON with an error status is a VtnProblem with that status."""
    vtn.faults = [answer] * 4
    async with vtn.client() as client:
        with pytest.raises(VtnProblem) as caught:
            await client.events()

    assert caught.value.status == answer.status_code
    assert caught.value.transient


async def test_row_16_pauses_grow_and_are_jittered(vtn: FakeVtn, clock: SwiftClock) -> None:
    """Three more tries after a failure, each pause within half to all of twice the one before."""
    vtn.faults = [problem(503)] * 4
    async with vtn.client() as client:
        with pytest.raises(VtnProblem):
            await client.events()

        assert client.status.retries == 3

    assert [0.25 <= clock.slept[0] <= 0.5, 0.5 <= clock.slept[1] <= 1.0, 1.0 <= clock.slept[2] <= 2.0] == [
        True
    ] * 3
    assert len({slept / 2**turn for turn, slept in enumerate(clock.slept)}) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_row_16_retry_after_is_honoured(vtn: FakeVtn, clock: SwiftClock, status: int) -> None:
    """The VTN's own number of seconds replaces a shorter pause."""
    vtn.faults = [httpx2.Response(status, headers={"Retry-After": "17"})]
    async with vtn.client() as client:
        assert (await client.events()).complete

    assert sum(clock.slept) == pytest.approx(17)


async def test_row_16_retry_after_as_a_date(vtn: FakeVtn, clock: SwiftClock) -> None:
    """A date counts from the VTN's own Date: a wrong clock of ours does not matter."""
    headers = {"Date": "Thu, 01 Jan 2026 06:00:00 GMT", "Retry-After": "Thu, 01 Jan 2026 06:00:20 GMT"}
    vtn.faults = [httpx2.Response(429, headers=headers)]
    async with vtn.client() as client:
        await client.events()

    assert sum(clock.slept) == pytest.approx(20)


async def test_a_long_retry_after_is_kept_by_every_call(vtn: FakeVtn, clock: SwiftClock) -> None:
    """Asked for ten minutes, the client fails at once and sends nothing until they have passed."""
    vtn.faults = [httpx2.Response(429, headers={"Retry-After": "600"})]
    async with vtn.client() as client:
        with pytest.raises(VtnProblem) as caught:
            await client.events()
        with pytest.raises(VtnUnreachable, match="VEN-VTN-027") as held:
            await client.programs()
        assert caught.value.retry_after_s == 600
        assert held.value.transient
        assert not held.value.ambiguous
        sent = len(vtn.requests)

        await clock.advance(601)
        await client.programs()

    assert clock.slept == []
    assert len(vtn.requests) == sent + 1


async def test_row_17_gzip_is_understood(vtn: FakeVtn) -> None:
    """A compressed listing is read, and compression was asked for."""
    body = gzip.compress(json.dumps([{"id": "P1", "programName": "day-ahead"}]).encode())
    vtn.faults = [httpx2.Response(200, content=body, headers={"Content-Encoding": "gzip"})]
    async with vtn.client() as client:
        (program,) = (await client.programs()).items

    assert program.program_name == "day-ahead"
    assert "gzip" in vtn.requests[-1].headers["Accept-Encoding"]


def library_failures() -> list[type[Exception]]:
    """Return every exception of the HTTP library that a request may raise."""
    found: list[type[Exception]] = []
    waiting: list[type[Exception]] = [httpx2.RequestError, httpx2.StreamError, httpx2.InvalidURL]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", library_failures(), ids=lambda kind: kind.__name__)
async def test_every_failure_of_the_library_is_ours(vtn: FakeVtn, kind: type[Exception]) -> None:
    """No exception of the HTTP library passes through; each becomes VtnUnreachable."""
    try:
        failure = kind("it failed")
    except TypeError:
        failure = kind()
    vtn.faults = [failure] * 4
    async with vtn.client() as client:
        with pytest.raises(VtnUnreachable):
            await client.events()


async def test_a_vtn_that_never_answers_is_given_up(vtn: FakeVtn, clock: SwiftClock) -> None:
    """The time-out bounds a whole request, however it hangs."""
    import asyncio

    async def hang(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    client = vtn.client(timeout_s=0.01, retries=0, client_id=None)
    client._talk._transport = httpx2.MockTransport(hang)
    async with client:
        with pytest.raises(VtnUnreachable, match="VEN-VTN-020") as caught:
            await client.create_report(REPORT)

    assert caught.value.ambiguous


@pytest.mark.parametrize(
    "fault", [httpx2.ReadError("cut"), httpx2.ReadTimeout("late"), problem(500), problem(504)]
)
async def test_row_60_a_report_in_doubt_is_not_sent_again(
    vtn: FakeVtn, fault: httpx2.Response | Exception
) -> None:
    """When the VTN may have stored the report, the error says so and nothing is repeated."""
    vtn.faults = [fault]
    async with vtn.client() as client:
        with pytest.raises(VtnError) as caught:
            await client.create_report(REPORT)

    assert caught.value.ambiguous
    assert caught.value.transient
    assert len(vtn.calls("POST", "reports")) == 1


@pytest.mark.parametrize(
    "fault",
    [httpx2.ConnectError("refused"), httpx2.ConnectTimeout("late"), httpx2.PoolTimeout("full"), problem(429)],
)
async def test_a_report_that_never_arrived_is_sent_again(
    vtn: FakeVtn, fault: httpx2.Response | Exception
) -> None:
    """When the VTN cannot have stored the report it is simply repeated."""
    vtn.faults = [fault]
    async with vtn.client() as client:
        report = await client.create_report(REPORT)

    assert report.id == "R1"
    assert len(vtn.collections["reports"]) == 1


async def test_a_refused_report_is_not_in_doubt(vtn: FakeVtn) -> None:
    """409 and 400 are clear answers."""
    vtn.faults = [problem(409, detail="reportName exists")]
    async with vtn.client() as client:
        with pytest.raises(VtnProblem) as caught:
            await client.create_report(REPORT)

    assert caught.value.is_conflict
    assert not caught.value.ambiguous


async def test_a_stored_report_with_an_unreadable_answer_is_in_doubt(vtn: FakeVtn) -> None:
    """201 with a body that is not a report: ask before sending again."""
    vtn.faults = [httpx2.Response(201, text="created")]
    async with vtn.client() as client:
        with pytest.raises(VtnUnreachable, match="VEN-VTN-012") as caught:
            await client.create_report(REPORT)

    assert caught.value.ambiguous


async def test_a_redirect_is_told_and_not_followed(vtn: FakeVtn) -> None:
    """The token is not carried to an unconfirmed address."""
    vtn.faults = [httpx2.Response(301, headers={"Location": "https://elsewhere.example/"})]
    async with vtn.client() as client:
        with pytest.raises(VtnProblem, match=r"elsewhere\.example"):
            await client.events()


async def test_row_70_clock_skew_is_measured(vtn: FakeVtn, clock: SwiftClock) -> None:
    """Our clock minus that of the Date header is in the status, of the last answer."""
    vtn.skew_s = 60
    async with vtn.client() as client:
        assert client.clock_skew_s is None
        await client.events()
        skew_s = client.clock_skew_s
        vtn.skew_s = 0
        await client.events()

        assert skew_s == pytest.approx(-60, abs=1)
        assert client.clock_skew_s == pytest.approx(0, abs=1)


@pytest.mark.parametrize("fault", [problem(500), httpx2.ReadTimeout("slow")])
async def test_one_endpoint_that_fails_is_logged_once_while_others_answer(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture, fault: httpx2.Response | Exception
) -> None:
    """The notifiers fail for hours, events are answered in between: one line at the start, one at the end."""
    caplog.set_level(logging.INFO, logger="venclient")

    def fail(request: httpx2.Request) -> httpx2.Response:
        if isinstance(fault, Exception):
            raise fault
        return fault

    vtn.handlers["GET", "notifiers"] = fail
    async with vtn.client(retries=0) as client:
        for _ in range(5):
            await client.events()
            with pytest.raises(VtnError):
                await client.notifiers()
        del vtn.handlers["GET", "notifiers"]
        vtn.collections["notifiers"] = []
        await client.notifiers()
        await client.events()

    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert all("notifiers" in r.getMessage() for r in caplog.records)


async def test_a_vtn_that_answers_everything_with_an_error_is_one_line(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """Several endpoints that fail together are one outage."""
    caplog.set_level(logging.INFO, logger="venclient")
    async with vtn.client(retries=0) as client:
        for _ in range(3):
            vtn.faults = [problem(503)] * 3
            for call in (client.programs, client.events, client.vens):
                with pytest.raises(VtnProblem):
                    await call()
        for call in (client.programs, client.events, client.vens):
            await call()

    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


async def test_an_outage_is_said_at_its_edges(
    vtn: FakeVtn, clock: SwiftClock, caplog: pytest.LogCaptureFixture
) -> None:
    """However long a VTN is away, one warning opens the outage and one line closes it."""
    caplog.set_level(logging.INFO, logger="venclient")
    async with vtn.client() as client:
        for _ in range(3):
            vtn.faults = [httpx2.ConnectError("refused")] * 4
            with pytest.raises(VtnUnreachable):
                await client.events()
        failed = client.status
        await client.events()
        healed = client.status

    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert (failed.failures, failed.retries, failed.last_ok) == (
        3,
        9,
        clock.now() - timedelta(seconds=sum(clock.slept)),
    )
    assert "refused" in str(failed.last_error)
    assert healed.last_ok == clock.now()


async def test_outside_its_context_a_client_says_so(vtn: FakeVtn) -> None:
    """A client that was not entered raises a RuntimeError that says how it is used."""
    with raises_code(RuntimeError, "VEN-VTN-013"):
        await vtn.client().events()


def test_row_01_an_account_is_changed_by_making_another(vtn: FakeVtn) -> None:
    """An account is frozen: a change of address or secret is a new account, checked again."""
    client = vtn.client()

    with pytest.raises(AttributeError):
        client._account.url = "https://other"  # type: ignore[misc]
    with pytest.raises(ConfigError):
        vtn.client(url="other")
