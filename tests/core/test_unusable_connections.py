"""Connections that cannot be used when the gateway starts: one sentence for all of a kind."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from venclient.clock import ManualClock
from venclient.gateway import Gateway
from venclient.messages import code_of
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.settings import load_settings

COUNT = 400


def resource(name: str, connection: Connection) -> Resource:
    """Return an enabled resource."""
    where = {"latitude": 56.1, "longitude": 9.0}
    return Resource(
        name, name, "DSR", None, f"meter-{name}", connection, {"P_max_kw": 40}, where, enabled=True
    )


async def test_resources_without_a_source_are_reported_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """400 without a source and 7 with wrong options: two lines and two notes, each with a count."""
    caplog.set_level(logging.INFO)
    empty = Connection(ConnectionType.FILEREADER, ActorType.READER, file="")
    wrong = Connection(
        ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1", options={"registers": [{"typ": "int99"}]}
    )
    database = tmp_path / "resources.db"
    with ResourceDatabase(str(database), check_options=lambda _: []) as registry:
        registry.bulk_upsert([resource(f"e{n}", empty) for n in range(COUNT)])
        registry.bulk_upsert([resource(f"w{n}", wrong) for n in range(7)])
    settings = tmp_path / "ven.toml"
    settings.write_text(
        f'[ven]\nname = "site"\n[vtn]\nurl = "http://127.0.0.1:9"\nallow_http = true\n'
        f'[registry]\ndatabase = "{database}"\n'
    )
    gateway = Gateway(load_settings(settings), clock=ManualClock())
    work = asyncio.create_task(gateway.run())
    while not any("serving" in record.getMessage() for record in caplog.records):
        assert not work.done()
        await asyncio.sleep(0)
    snapshot = gateway.snapshot()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    lines = [one for one in caplog.records if code_of(one.msg) in ("VEN-GWY-020", "VEN-GWY-021")]
    assert [code_of(one.msg) for one in lines] == ["VEN-GWY-020", "VEN-GWY-021"]
    assert [one.levelname for one in lines] == ["WARNING", "ERROR"]
    assert "400 resources" in lines[0].getMessage()
    assert "395 more" in lines[0].getMessage()
    assert "7 connections" in lines[1].getMessage()
    assert len([note for note in snapshot["notes"] if "VEN-GWY-02" in note]) == 2
    states = [(one["state"], "VEN-GWY-023" in one["last_error"]) for one in snapshot["connections"]]
    assert (states.count(("refused", True)), states.count(("refused", False))) == (COUNT, 7)
