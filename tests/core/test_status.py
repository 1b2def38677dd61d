"""The status socket: who may ask, and which failures are distinguished."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.codes import raises_code
from venclient.errors import StoreError
from venclient.status import StatusServer, ask, socket_name


async def test_a_running_gateway_answers_with_its_snapshot(tmp_path: Path) -> None:
    """Whoever connects gets the snapshot of that moment, and the socket is private."""
    count = 0

    def snapshot() -> dict[str, int]:
        nonlocal count
        count += 1
        return {"count": count}

    server = StatusServer(tmp_path / "ven.sock", snapshot)
    await server.start()
    answers = [await asyncio.to_thread(ask, tmp_path / "ven.sock") for _ in range(2)]
    mode = (tmp_path / "ven.sock").stat().st_mode & 0o777
    await server.stop()

    assert answers == [{"count": 1}, {"count": 2}]
    assert mode == 0o600
    assert ask(tmp_path / "ven.sock") is None


async def test_a_second_gateway_on_the_same_files_is_refused(tmp_path: Path) -> None:
    """Two gateways never share a folder; leftovers of a killed one are ignored."""
    first = StatusServer(tmp_path / "ven.sock", dict)
    await first.start()
    with raises_code(StoreError, "VEN-GWY-010"):
        await StatusServer(tmp_path / "ven.sock", dict).start()
    await first.stop()

    (tmp_path / "ven.sock").touch()
    again = StatusServer(tmp_path / "ven.sock", dict)
    await again.start()
    await again.stop()


def test_a_deep_folder_gets_a_short_socket_name(tmp_path: Path) -> None:
    """Unix sockets have short names: a long path is stood in for, the same way each time."""
    deep = tmp_path / ("x" * 120) / "ven.sock"

    assert len(socket_name(deep)) < 108
    assert socket_name(deep) == socket_name(deep)
    assert socket_name(deep) != socket_name(deep.with_name("other.sock"))


async def test_request_for_a_reload_is_answered_with_what_came_of_it(tmp_path: Path) -> None:
    """Another word is refused by name; a program that says nothing gets the snapshot."""

    async def reload() -> dict[str, str]:
        return {"applied": "vtn.url"}

    path = tmp_path / "ven.sock"
    server = StatusServer(path, lambda: {"snapshot": True}, reload)
    await server.start()
    answers = [await asyncio.to_thread(ask, path, request) for request in ("", "reload", "explode\x1b[2J")]
    reader, writer = await asyncio.open_unix_connection(str(path))
    silent = await reader.read()
    writer.close()
    await server.stop()

    assert answers[:2] == [{"snapshot": True}, {"applied": "vtn.url"}]
    assert "VEN-GWY-048" in (answers[2] or {})["problem"]
    assert "\x1b" not in (answers[2] or {})["problem"]
    assert silent == b'{"snapshot": true}'
