"""The registry followed while the gateway runs: what is noticed, what is applied, what is kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from venclient.clock import ManualClock
from venclient.errors import RegistryError
from venclient.messages import code_of
from venclient.model.reporting import ReportingStatus
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.notes import Notes
from venclient.registered import Registered, RegistrySource
from venclient.registry.database import ResourceDatabase
from venclient.registry_follower import RegistryFollower


def resource(name: str, *, ven: str | None = "Herning", enabled: bool | None = True) -> Resource:
    """Return a resource with a Modbus meter."""
    connection = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "192.0.2.1")
    place = {"latitude": 56.1, "longitude": 9.0}
    return Resource(
        name, name, "DSR", None, name, connection, {"P_max_kw": 40}, place, ven=ven, enabled=enabled
    )


class Followed:
    """A registry that is followed; what was applied is noted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "resources.db"
        self.clock = ManualClock()
        self.notes = Notes()
        self.wanted: dict[str, str | None] = {"": None}
        self.applied: list[tuple[Registered, Registered]] = []
        with self.registry() as registry:
            registry.bulk_upsert([resource("a"), resource("b")])
        self.source = RegistrySource(str(self.path), None, lambda: self.wanted, self.clock)
        self.follower = RegistryFollower(
            self.source,
            self.source.read(Registered()),
            lambda now, before: self.applied.append((now, before)),
            self.clock,
            self.notes,
        )

    def registry(self) -> ResourceDatabase:
        """Open the registry, as a command does."""
        return ResourceDatabase(self.path)

    async def look(self, times: int = 1) -> None:
        """Let it look."""
        for _ in range(times):
            await self.follower.look()


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    """Return a registry with the resources a and b that is followed."""
    return Followed(tmp_path)


async def test_change_is_applied_at_the_next_look(followed: Followed) -> None:
    """What was stored since is read and applied, once; its version is the one that runs."""
    with followed.registry() as registry:
        registry.update_resource("a", capacities={"P_max_kw": 50})
        version = registry.version()
    await followed.look(3)

    assert len(followed.applied) == 1
    now, before = followed.applied[0]
    assert now.resources["a"].capacities == {"P_max_kw": 50}
    assert before.resources["a"].capacities == {"P_max_kw": 40}
    assert followed.follower.running.version == followed.follower.stored == version


async def test_disabled_removed_and_added_resources_change_what_is_served(
    followed: Followed,
) -> None:
    """Only enabled resources are served."""
    with followed.registry() as registry:
        registry.set_enabled("a", False)
        registry.delete_resource("b")
        registry.bulk_upsert([resource("c")])
    await followed.look()

    assert list(followed.follower.running.resources) == ["c"]


async def test_each_vtn_hears_of_its_own(followed: Followed) -> None:
    """The `ven` of a resource says which VTN hears of it."""
    followed.wanted = {"": "Herning", "operator": "Aarhus"}
    with followed.registry() as registry:
        registry.update_resource("b", ven="Aarhus")
    await followed.look()

    served = followed.follower.running.served
    assert {name: list(of) for name, of in served.items()} == {"": ["a"], "operator": ["b"]}


async def test_nothing_is_applied_while_nothing_changes(followed: Followed) -> None:
    """How reporting stands is written by the gateway itself: that changes none of the resources."""
    with followed.registry() as registry:
        registry.set_reporting_status([ReportingStatus(resource_id="a", state="reported")])
    await followed.look(3)

    assert followed.applied == []


async def test_file_that_was_not_written_is_not_opened(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a quiet registry costs two `stat`: the card and the processor are left alone."""
    old = followed.clock.now().timestamp() - 60
    os.utime(followed.path, (old, old))
    assert followed.source.version() is not None
    opened: list[str] = []
    monkeypatch.setattr("venclient.registered.ResourceDatabase", lambda *a, **_: opened.append(a[0]))

    assert followed.source.version() is None
    assert opened == []


async def test_registry_that_is_away_changes_nothing(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported once, and what changed meanwhile is applied when it is back."""
    hidden = followed.path.with_suffix(".gone")
    with followed.registry() as registry:
        registry.set_enabled("a", False)
    followed.path.rename(hidden)
    followed.path.mkdir()
    await followed.look(3)
    assert list(followed.follower.running.resources) == ["a", "b"]
    assert len([one for one in caplog.records if code_of(one.msg) == "VEN-GWY-040"]) == 1

    followed.path.rmdir()
    hidden.rename(followed.path)
    await followed.look(2)
    assert list(followed.follower.running.resources) == ["b"]


@pytest.mark.parametrize("left", [None, b""])
async def test_registry_file_that_is_moved_away_is_not_made_anew(
    followed: Followed, left: bytes | None
) -> None:
    """An empty registry in its place would end all readings; nothing is written where it was."""
    hidden = followed.path.with_suffix(".gone")
    followed.path.rename(hidden)
    if left is not None:
        followed.path.write_bytes(left)
    followed.follower.look_now()
    await followed.look(3)

    assert list(followed.follower.running.resources) == ["a", "b"]
    assert not followed.path.exists() if left is None else followed.path.read_bytes() == left
    assert len(list(followed.notes)) == 1
    assert "[VEN-GWY-040]" in next(iter(followed.notes))

    hidden.replace(followed.path)
    await followed.look()
    assert list(followed.notes) == []
    assert list(followed.follower.running.resources) == ["a", "b"]


async def test_resource_whose_row_makes_no_sense_any_more_is_served_as_it_was(followed: Followed) -> None:
    """A mistake by hand in one row is reported, and ends no readings; the others follow the registry."""
    with followed.registry() as registry:
        registry.set_enabled("b", False)
    with sqlite3.connect(followed.path) as db:
        db.execute("UPDATE resources SET capacities = '{' WHERE resource_id = 'a'")
    await followed.look()

    assert list(followed.follower.running.resources) == ["a"]
    assert followed.follower.running.resources["a"].capacities == {"P_max_kw": 40}
    assert [one.place for one in followed.follower.running.rejects] == ["resources row 1 (a)"]


async def test_change_past_the_record_is_read_when_asked_for(followed: Followed) -> None:
    """Whoever edits the file with other tools reloads."""
    with sqlite3.connect(followed.path) as db:
        db.execute("UPDATE resources SET enabled = 0 WHERE resource_id = 'a'")
    await followed.look(2)
    assert followed.applied == []

    followed.follower.look_now()
    await followed.look()
    assert list(followed.follower.running.resources) == ["b"]


def test_changes_that_a_server_commits_out_of_order_are_noticed(tmp_path: Path) -> None:
    """A change whose id is lower than the newest makes another version all the same."""
    with ResourceDatabase(tmp_path / "r.db") as registry:
        registry.bulk_upsert([resource("a"), resource("b"), resource("c")])
        with registry.get_connection() as db:
            low = db.execute("SELECT max(id) - 1 FROM changes").fetchone()[0]
            kept = [tuple(row) for row in db.execute("SELECT * FROM changes WHERE id = ?", (low,))]
        assert kept
        whole = registry.version()
    with sqlite3.connect(tmp_path / "r.db") as db:
        for trigger in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger[0]}")
        db.execute("DELETE FROM changes WHERE id = ?", (low,))
    with ResourceDatabase(tmp_path / "r.db") as registry:
        before = registry.version()
    assert before.number == whole.number
    assert before != whole


@pytest.mark.parametrize("lost", ["deleted", "emptied", "folder deleted"])
async def test_registry_whose_file_is_lost_ends_no_readings_and_is_not_created_anew(
    followed: Followed, lost: str
) -> None:
    """What was read last goes on, the loss is reported; a copy that is put back is followed."""
    with followed.registry() as registry:
        registry.set_enabled("a", False)
    copy = followed.path.read_bytes()
    if lost == "deleted":
        followed.path.unlink()
    elif lost == "emptied":
        os.truncate(followed.path, 0)
    else:
        shutil.rmtree(followed.path.parent)
    await followed.look(3)
    assert list(followed.follower.running.resources) == ["a", "b"]
    expected = "VEN-GWY-090" if lost == "emptied" else "VEN-GWY-091"
    with pytest.raises(RegistryError, match=expected):
        followed.source.version()
    assert len(list(followed.notes)) == 1
    assert not followed.path.exists() or followed.path.stat().st_size == 0

    followed.path.parent.mkdir(exist_ok=True)
    followed.path.write_bytes(copy)
    await followed.look(2)
    assert list(followed.follower.running.resources) == ["b"]
    assert list(followed.notes) == []


async def test_unexpected_error_while_a_change_is_applied_ends_nothing(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported once, and the change is applied at a later look."""
    failures = iter([RuntimeError("once"), RuntimeError("twice")])
    applied: list[Registered] = []

    def apply(now: Registered, _before: Registered) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        applied.append(now)

    follower = RegistryFollower(
        followed.source, followed.source.read(Registered()), apply, followed.clock, followed.notes
    )
    with followed.registry() as registry:
        registry.set_enabled("a", False)
    await follower.look()
    await follower.look()
    assert [code_of(one.msg) for one in caplog.records].count("VEN-GWY-040") == 1
    assert len(list(followed.notes)) == 1

    await follower.look()
    assert [list(one.resources) for one in applied] == [["b"]]
    assert list(followed.notes) == []


async def test_what_did_not_change_stays_the_same_object(followed: Followed) -> None:
    """Whoever takes up a change of one resource among thousands looks at that one only."""
    with followed.registry() as registry:
        registry.update_resource("a", capacities={"P_max_kw": 50})
    await followed.look()

    now, before = followed.applied[0]
    assert now.resources["b"] is before.resources["b"]
    assert now.resources["a"] is not before.resources["a"]
