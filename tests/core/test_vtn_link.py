"""One VTN among several: what breaks about it stays with it, and says whose it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from venclient.client import VtnAccount
from venclient.clock import ManualClock
from venclient.errors import ConfigError, StoreError
from venclient.gateway import Gateway
from venclient.messages import code_of
from venclient.registry.database import ResourceDatabase
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox
from venclient.roster import Roster
from venclient.settings import Settings, load_settings
from venclient.vtn_link import BROKEN_REST_S, VtnLink, checked_account

URL = "https://vtn.example/openadr3/3.1.1"


def settings(folder: Path, lines: str = "") -> Settings:
    """Return the settings of a gateway with a further VTN."""
    file = folder / "ven.toml"
    file.write_text(
        f'[ven]\nname = "v"\n[vtn]\nurl = "{URL}"\n[vtns.operator]\nurl = "https://other.example"\n{lines}'
    )
    return load_settings(file, environment={})


def a_link(folder: Path, clock: ManualClock) -> VtnLink:
    """Return the link to the further VTN, without resources."""
    (folder / "var").mkdir(exist_ok=True)
    own = settings(folder).others["operator"]
    guard = SimpleNamespace(look=lambda: True)

    async def nothing(*_: Any) -> Any:
        return {}

    account = VtnAccount(url=own["vtn.url"])
    return VtnLink(own, account, Roster({}), clock, cast("Any", guard), nothing, nothing, name="operator")


async def test_row_72_what_breaks_about_a_vtn_is_told_and_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a bug nor a bad file ends the tasks of the gateway: the link says so, and tries again."""
    clock = ManualClock()
    link = a_link(tmp_path, clock)
    served: list[float] = []

    async def serve(_: object) -> None:
        served.append(clock.monotonic())
        async with asyncio.TaskGroup() as group:
            group.create_task(_fails(RuntimeError("out of order")))

    monkeypatch.setattr(link, "_serve", serve)
    task = asyncio.create_task(link.run(lambda: asyncio.sleep(0)))
    await clock.advance(3 * BROKEN_REST_S, settle=20)
    assert len(served) == 4
    assert link.snapshot()["vtn"]["state"] == "refused"
    assert [note for note in link.notes if "RuntimeError" in note and "VEN-GWY-060" in note]
    said = [one.getMessage() for one in caplog.records if code_of(one.msg) == "VEN-GWY-060"]
    assert len(said) == 1
    assert said[0].startswith("VTN operator: ")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    link.close()


async def test_a_breakdown_that_comes_again_with_each_try_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The note stays while it breaks at once each time, and goes when all runs for longer than the pause."""
    clock = ManualClock()
    link = a_link(tmp_path, clock)
    broken = [True]

    async def follow() -> None:
        if broken[0]:
            raise RuntimeError("out of order")
        await clock.sleep(100_000)

    monkeypatch.setattr(link.side, "follow", follow)
    task = asyncio.create_task(link.run(lambda: clock.sleep(100_000)))
    await clock.advance(10 * BROKEN_REST_S, settle=30)
    assert [code_of(one.msg) for one in caplog.records].count("VEN-GWY-060") == 1
    broken[0] = False
    await clock.advance(3 * BROKEN_REST_S, settle=30)
    assert not [note for note in link.notes if "VEN-GWY-060" in note]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    link.close()


async def _fails(error: Exception) -> None:
    raise error


async def test_a_link_that_is_cancelled_while_it_fails_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping the gateway takes precedence over a restart of the link."""
    link = a_link(tmp_path, ManualClock())
    begun = asyncio.Event()

    async def serve(_: object) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            raise RuntimeError("on its way out")

    monkeypatch.setattr(link, "_serve", serve)
    task = asyncio.create_task(link.run(lambda: asyncio.sleep(0)))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    link.close()


def test_an_outbox_that_cannot_be_opened_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event book in the same file is closed again."""
    closed: list[object] = []
    really = EventBook.close

    def close(book: EventBook) -> None:
        closed.append(book)
        really(book)

    monkeypatch.setattr(EventBook, "close", close)

    def broken(*_: object) -> Outbox:
        raise StoreError("disk full")

    monkeypatch.setattr("venclient.reporting.state_rescue.Outbox", broken)
    with pytest.raises(StoreError):
        a_link(tmp_path, ManualClock())
    assert len(closed) == 1


def test_a_gateway_that_cannot_serve_one_vtn_closes_the_files_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second VTN's state file cannot be opened: that of the first one is closed again."""
    closed: list[str] = []
    really = VtnLink.close

    def close(link: VtnLink) -> None:
        closed.append(link.name or "the first")
        really(link)

    monkeypatch.setattr(VtnLink, "close", close)
    with ResourceDatabase(str(tmp_path / "resources.db")):
        pass
    (tmp_path / "var").mkdir()
    (tmp_path / "taken").mkdir()
    own = settings(tmp_path, 'state = "taken"\n')
    with pytest.raises(StoreError):
        Gateway(own)
    assert closed == ["the first"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('ca_file = "none.pem"\n', "certificate file"),
        ('client_id = "a"\nclient_secret = "env:NOT_THERE_AT_ALL"\n', "NOT_THERE_AT_ALL"),
        ('webhook_url = "https://me.example/"\nwebhook_cert_file = "credential:x"\n', "webhook_cert_file"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_vtn_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, said: str
) -> None:
    """A missing certificate, secret or credential names the table that it stands in."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    own = settings(tmp_path, lines).others["operator"]
    with pytest.raises(ConfigError) as caught:
        checked_account(own, "operator")
    assert str(caught.value).startswith("[vtns.operator] ")
    assert said in str(caught.value)


async def test_log_lines_say_which_vtn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of several VTNs, each line in the log names its own."""
    caplog.set_level(logging.INFO)
    link = a_link(tmp_path, ManualClock())
    link.notes.begin("x", "something is wrong")
    link.close()
    messages: Sequence[str] = [one.getMessage() for one in caplog.records]
    assert "VTN operator: something is wrong" in messages
