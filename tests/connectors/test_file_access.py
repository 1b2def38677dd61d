"""Files that are never meter files, whatever a registry row or a drop folder says."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_file import HEAD, row
from tests.connectors.test_file_drop import drop, read_all, resource_of, values
from venclient.connectors.base import Batch, Site
from venclient.connectors.file import open_file_reader
from venclient.errors import ConnectFailed
from venclient.messages import code_of
from venclient.model.resource import ConnectionType

SECRET = "hunter2-hunter2-hunter2"


async def read_file(site: Site, file: str, **options: Any) -> Batch:
    """Read a configured file once."""
    resource = make_resource(ConnectionType.FILEREADER, file=file, options={"follow": False} | options)
    reader = open_file_reader(resource, site)
    try:
        return await reader.read()
    finally:
        await reader.close()


def everything(folder: Path) -> str:
    """Return the text of all reason files."""
    return "".join(path.read_text() for path in folder.rglob("*.reason.txt"))


# Links


async def test_a_link_in_a_drop_folder_is_neither_read_nor_moved(tmp_path: Path) -> None:
    """It is reported by name, once, and stays; what it leads to appears nowhere."""
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    drop(tmp_path, "good.csv", HEAD + row(1, 1))
    (tmp_path / "in" / "k.csv").symlink_to(secret)
    (tmp_path / "in" / "hanging.csv").symlink_to(tmp_path / "nowhere")
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batches = [*await read_all(reader), *await read_all(reader)]
    await reader.close()

    rejects = [one for batch in batches for one in batch.rejects]
    assert values(batches) == [1.0]
    assert sorted((one.place, code_of(one.reason)) for one in rejects) == [
        ("hanging.csv", "VEN-FIL-029"),
        ("k.csv", "VEN-FIL-029"),
    ]
    assert (tmp_path / "in" / "k.csv").is_symlink()
    assert SECRET not in str(batches)
    assert SECRET not in everything(tmp_path)


async def test_a_file_that_becomes_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put in place of a file between the look at the folder and the opening."""
    (tmp_path / "secret.txt").write_text(SECRET)
    drop(tmp_path, "a.csv", HEAD + row(1, 1))
    opened = os.open

    def swapping(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith("a.csv"):
            Path(path).unlink(missing_ok=True)
            Path(path).symlink_to(tmp_path / "secret.txt")
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "open", swapping)
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batches = await read_all(reader)
    await reader.close()

    assert values(batches) == []
    assert SECRET not in str(batches)
    assert SECRET not in everything(tmp_path)


@pytest.mark.parametrize("name", ["done", "failed"])
async def test_files_are_not_moved_through_a_link(tmp_path: Path, name: str) -> None:
    """done/ and failed/ that lead elsewhere take nothing: the file stays, with the reason as a reject."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    drop(tmp_path, "a.csv", HEAD + (row(1, 1) if name == "done" else "x,1\n"))
    (tmp_path / "in" / name).symlink_to(elsewhere)
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batches = [*await read_all(reader), *await read_all(reader)]
    await reader.close()

    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "in" / "a.csv").exists()
    assert "VEN-FIL-024" in {code_of(one.reason) for batch in batches for one in batch.rejects}


async def test_a_reason_file_is_for_us_alone_and_replaces_a_link(tmp_path: Path) -> None:
    """It is written with mode 0600, and not through a link that waits under its name."""
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    drop(tmp_path, "a.csv", HEAD + "x,1\n")
    failed = tmp_path / "in" / "failed"
    failed.mkdir()
    (failed / "a.csv.reason.txt").symlink_to(victim)
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    await read_all(reader)
    await reader.close()

    assert victim.read_text() == "as it was"
    assert (failed / "a.csv.reason.txt").lstat().st_mode & 0o177777 == 0o100600


async def test_a_configured_file_may_be_a_link(tmp_path: Path) -> None:
    """Whoever writes the registry decides which file is read."""
    (tmp_path / "real.csv").write_text(HEAD + row(1, 5))
    (tmp_path / "meter.csv").symlink_to("real.csv")
    assert [one.value for one in (await read_file(make_site(tmp_path), "meter.csv")).readings] == [5.0]


# What is never a meter file


@pytest.mark.parametrize("file", ["/etc/hostname", "/proc/self/status", "/dev/zero", "/sys/kernel/mm/uevent"])
async def test_files_of_the_system_are_refused(tmp_path: Path, file: str) -> None:
    """By their own name and through a link, for a single look too."""
    (tmp_path / "meter.csv").symlink_to(file)
    for name in (file, "meter.csv"):
        for site in (make_site(tmp_path), replace(make_site(tmp_path), one_shot=True)):
            with pytest.raises(ConnectFailed, match="VEN-FIL-020") as caught:
                await read_file(site, name)
            assert "system" in str(caught.value)


async def test_pipes_and_sockets_are_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer does not block."""
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket.csv"))
        for name in ("pipe.csv", "socket.csv", "."):
            with pytest.raises(ConnectFailed, match="VEN-FIL-020"):
                await read_file(make_site(tmp_path), name)


@pytest.mark.parametrize(
    "name", ["resources.db", "resources.db.key", "state.db-wal", "copy.csv", "linked.csv"]
)
async def test_our_databases_and_keys_are_refused(tmp_path: Path, name: str) -> None:
    """By name, as a copy, and as a second name of the same file."""
    (tmp_path / "resources.db").write_bytes(b"SQLite format 3\0" + SECRET.encode())
    (tmp_path / "resources.db.key").write_text(SECRET)
    (tmp_path / "state.db").write_text("")
    (tmp_path / "state.db-wal").write_text(SECRET)
    (tmp_path / "copy.csv").write_bytes((tmp_path / "resources.db").read_bytes())
    os.link(tmp_path / "resources.db.key", tmp_path / "linked.csv")
    protected = (tmp_path / "resources.db", tmp_path / "state.db")
    with pytest.raises(ConnectFailed, match="VEN-FIL-020") as caught:
        await read_file(replace(make_site(tmp_path), protected=protected), name)
    assert SECRET not in str(caught.value)


# Roots


async def test_new_files_must_lie_within_the_roots(tmp_path: Path) -> None:
    """Outside of the registry's folder a new connection needs files.roots; a known one goes on."""
    folder, outside = tmp_path / "config", tmp_path / "meters"
    folder.mkdir()
    outside.mkdir()
    file = outside / "a.csv"
    file.write_text(HEAD + row(1, 5))
    site = replace(make_site(folder), roots=())
    with pytest.raises(ConnectFailed) as caught:
        await read_file(site, str(file))
    assert "files.roots" in str(caught.value)

    batch = await read_file(replace(site, roots=(outside,)), str(file))
    assert [one.value for one in batch.readings] == [5.0]

    file.write_text(HEAD + row(1, 5) + row(2, 6))
    known = replace(site, bookmark=dict(batch.bookmarks).get)
    assert [one.value for one in (await read_file(known, str(file))).readings] == [6.0]


# What of a file is shown


@pytest.mark.parametrize("options", [{}, {"values": [{"column": "2", "quantity": "power_kw"}]}])
async def test_no_row_of_a_file_that_cannot_be_read_is_shown(tmp_path: Path, options: dict[str, Any]) -> None:
    """Neither in rejects nor in the reason file; places and codes are."""
    if options:
        options |= {"header": False, "delimiter": ":", "time": {"columns": ["1"]}}
    text = "".join(f"user{n}:{SECRET}:{n}:\n" for n in range(3))
    drop(tmp_path, "a.csv", ("time,power_kw\n" if not options else "") + text)
    reader = open_file_reader(resource_of(**options), make_site(tmp_path))
    batches = await read_all(reader)
    await reader.close()

    assert [one for batch in batches for one in batch.rejects]
    assert SECRET not in str(batches)
    assert SECRET not in everything(tmp_path)


async def test_names_of_columns_are_bounded(tmp_path: Path) -> None:
    """The first line of another file is shown in part only, and printable."""
    drop(tmp_path, "a.csv", ";".join(["\x1b[2J" + "x" * 300] * 200) + "\n1;2\n")
    options: dict[str, Any] = {
        "values": [{"column": "power_kw", "quantity": "power_kw"}],
        "time": {"columns": ["time"]},
    }
    reader = open_file_reader(resource_of(**options), make_site(tmp_path))
    (reason,) = [one.reason for batch in await read_all(reader) for one in batch.rejects]
    await reader.close()
    assert code_of(reason) == "VEN-FIL-040"
    assert "\x1b" not in reason
    assert "x" * 33 not in reason
    assert len(reason) < 1200
