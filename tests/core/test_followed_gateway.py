"""A gateway whose registry and settings change while it runs: what it reads, registers and reports on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from venclient.clock import SystemClock
from venclient.gateway import Gateway
from venclient.messages import code_of
from venclient.model.quality import MeterRules, meter_rules
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.reporting.targets import Reportable
from venclient.settings import load_settings

OPTIONS = {"interval_s": 0.2, "columns": {"time": 0, "power_kw": 1}}


def resource(name: str, file: str = "") -> Resource:
    """Return a resource that is read from its own file."""
    connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file=file or f"{name}.csv")
    place = {"latitude": 56.1, "longitude": 9.0}
    return Resource(name, name, "DSR", None, name, connection, {"P_max_kw": 40}, place, enabled=True)


class Running:
    """A gateway that runs in this process, without a VTN that answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "ven.toml"
        self.settings.write_text(
            '[ven]\nname = "site"\n[vtn]\nurl = "http://127.0.0.1:9"\nallow_http = true\n'
            "[readings]\ncommit_s = 0.1\n"
        )
        with self.registry() as registry:
            registry.bulk_upsert([resource("a"), resource("b")])
        self.gateway = Gateway(
            load_settings(self.settings), clock=SystemClock(), reread=lambda: load_settings(self.settings)
        )

    def registry(self) -> ResourceDatabase:
        """Open the registry, as a command does."""
        return ResourceDatabase(self.folder / "resources.db")

    @property
    def connections(self) -> dict[str, dict[str, Any]]:
        """Return what the status says of each resource's connection."""
        return {one["resource"]: one for one in self.gateway.snapshot()["connections"]}

    async def until(self, holds: Callable[[], Any], what: str) -> None:
        """Return once something holds; the gateway looks at its registry in threads, so real time passes."""
        try:
            async with asyncio.timeout(60):
                while not holds():  # noqa: ASYNC110 (the gateway sets no event of ours)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"never: {what}; {self.gateway.snapshot()['notes']}")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Return a gateway that reads the resources a and b."""
    made = Running(tmp_path)
    task = asyncio.create_task(made.gateway.run())
    await made.until(lambda: set(made.connections) == {"a", "b"}, "the gateway serves")
    yield made
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_resources_are_added_removed_and_disabled_while_it_runs(running: Running) -> None:
    """The status lists those that are served, and which version of the registry that is."""
    with running.registry() as registry:
        registry.set_enabled("a", False)
        registry.delete_resource("b")
        registry.bulk_upsert([resource("c")])
        version = registry.version().number
    await running.until(lambda: set(running.connections) == {"c"}, "only c is served")

    snapshot = running.gateway.snapshot()
    assert snapshot["ven"]["resources"] == 1
    assert (snapshot["registry"]["running"], snapshot["registry"]["stored"]) == (version, version)


async def test_meter_is_read_another_way_as_soon_as_its_connection_changes(running: Running) -> None:
    """The wrong file is reported, the right one is read; what was counted goes on."""
    await running.until(lambda: running.connections["a"]["state"] == "dark", "a.csv is not there")
    (running.folder / "other.csv").write_text("time,power_kw\n2026-11-01T12:00:00Z,5.5\n")
    with running.registry() as registry:
        one = registry.get_resource("a")
        assert one is not None
        one.connection.file = "other.csv"
        registry.update_resource(one)
    await running.until(lambda: running.connections["a"]["latest"], "other.csv is read")

    assert running.connections["a"]["latest"]["power_kw"]["value"] == 5.5
    assert running.connections["a"]["endpoint"] == "filereader other.csv"
    assert running.connections["b"]["state"] == "dark"


async def test_connection_that_cannot_be_used_is_told_and_taken_up_once_it_is_mended(
    running: Running,
) -> None:
    """An edit that breaks one connection stops no other, and the next edit repairs it."""
    with running.registry() as registry:
        registry.bulk_upsert([resource("c", file=" ")])
    await running.until(lambda: "c" in running.connections, "c is known")
    assert running.connections["c"]["state"] == "refused"
    assert "VEN-GWY-023" in running.connections["c"]["last_error"]

    with running.registry() as registry:
        registry.bulk_upsert([resource("c")])
    await running.until(lambda: running.connections["c"]["state"] != "refused", "c is opened")


async def test_notes_go_once_what_they_are_about_is_mended(running: Running) -> None:
    """A row that made no sense, a VTN without resources and a setting that needed a restart."""
    settings = running.settings.read_text()

    def shown(code: str) -> bool:
        return any(f"[{code}]" in note for note in running.gateway.snapshot()["notes"])

    with sqlite3.connect(running.folder / "resources.db") as db:
        db.execute("UPDATE resources SET capacities = '{' WHERE resource_id = 'a'")
    running.settings.write_text(
        settings.replace("commit_s = 0.1", "commit_s = 5")
        + '[vtns.two]\nurl = "http://127.0.0.1:9"\nallow_http = true\nven_name = "two"\nresources = "none"\n'
    )
    await running.gateway.reload()
    codes = ("VEN-GWY-028", "VEN-GWY-045", "VEN-REG-153")
    await running.until(lambda: all(shown(code) for code in codes), "three notes")

    with sqlite3.connect(running.folder / "resources.db") as db:
        db.execute("UPDATE resources SET capacities = '{}' WHERE resource_id = 'a'")
    running.settings.write_text(settings)
    await running.gateway.reload()
    await running.until(lambda: not any(shown(code) for code in codes), "no such note")


async def test_reload_takes_up_another_vtn_and_names_what_needs_a_restart(running: Running) -> None:
    """Settings that are fixed stay, the rest holds at once; a file that is wrong changes nothing."""
    text = running.settings.read_text()
    running.settings.write_text(
        text.replace("127.0.0.1:9", "127.0.0.1:7").replace('"site"', '"inn"')
        + '[vtns.operator]\nurl = "http://127.0.0.1:8"\nallow_http = true\nven_name = "site-2"\n'
    )
    answer = await running.gateway.reload()
    assert (answer["problem"], answer["restart"]) == (None, ["ven.name"])
    assert sorted(answer["applied"]) == ["vtn.url", "vtns.operator"]
    snapshot = running.gateway.snapshot()
    assert (snapshot["vtn"]["url"], snapshot["ven"]["name"]) == ("http://127.0.0.1:7", "site")
    assert [one["vtn"]["url"] for one in snapshot["others"]] == ["http://127.0.0.1:8"]
    await running.until(
        lambda: running.gateway.snapshot()["others"][0]["ven"]["resources"] == 2, "the operator hears of both"
    )

    running.settings.write_text("[ven]\nnam = 5\n")
    answer = await running.gateway.reload()
    assert "VEN-GWY-046" in answer["problem"]
    assert running.gateway.snapshot()["vtn"]["url"] == "http://127.0.0.1:7"

    running.settings.write_text(text)
    answer = await running.gateway.reload()
    assert sorted(answer["applied"]) == ["vtn.url", "vtns.operator"]
    assert running.gateway.snapshot()["others"] == []


async def test_reload_serves_other_resources_when_the_settings_say_so(running: Running) -> None:
    """`ven.resources` chooses by the registry's `ven` value."""
    with running.registry() as registry:
        registry.update_resource("a", ven="Herning")
    text = running.settings.read_text().replace('name = "site"', 'name = "site"\nresources = "Herning"')
    running.settings.write_text(text)
    answer = await running.gateway.reload()

    assert answer["applied"] == ["ven.resources"]
    await running.until(lambda: set(running.connections) == {"a"}, "only a is served")


async def test_status_is_whole_while_links_are_opened_again(running: Running) -> None:
    """Whoever asks during a reload hears of the first VTN first, and of no VTN twice."""
    text = running.settings.read_text()
    operator = '[vtns.operator]\nurl = "http://127.0.0.1:8"\nallow_http = true\nven_name = "site-2"\n'
    running.settings.write_text(text + operator)
    await running.gateway.reload()
    seen: set[tuple[str, ...]] = set()

    async def ask() -> None:
        while True:
            snapshot = running.gateway.snapshot()
            seen.add((snapshot["vtn"]["url"], *(one["vtn"]["url"] for one in snapshot["others"])))
            await asyncio.sleep(0)

    asking = asyncio.create_task(ask())
    running.settings.write_text(text.replace("127.0.0.1:9", "127.0.0.1:7") + operator)
    await running.gateway.reload()
    await running.until(lambda: len(seen) > 1, "it was asked afterwards")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert seen == {(f"http://127.0.0.1:{port}", "http://127.0.0.1:8") for port in (7, 9)}


async def test_vtns_swap_their_addresses_and_state_files(running: Running) -> None:
    """Both conversations are ended before the first of them is started again."""
    text = running.settings.read_text()

    def tables(first: str, second: str) -> str:
        return "".join(
            f'[vtns.{name}]\nurl = "http://127.0.0.1:{port}"\nallow_http = true\nven_name = "site-{port}"\n'
            for name, port in (("east", first), ("west", second))
        )

    running.settings.write_text(text + tables("7", "8"))
    await running.gateway.reload()
    running.settings.write_text(text + tables("8", "7"))
    answer = await running.gateway.reload()
    assert answer["problem"] is None
    others = running.gateway.snapshot()["others"]
    assert [(one["name"], one["vtn"]["url"][-1], one["ven"]["name"]) for one in others] == [
        ("east", "8", "site-8"),
        ("west", "7", "site-7"),
    ]
    await running.until(
        lambda: all(one["ven"]["resources"] == 2 for one in running.gateway.snapshot()["others"]),
        "both serve",
    )


async def test_reload_that_cannot_be_done_leaves_everything_as_it_is(running: Running) -> None:
    """A state file that cannot be opened: no setting of that file is applied, and the status shows why."""
    text = running.settings.read_text()
    changed = text.replace("127.0.0.1:9", "127.0.0.1:7")
    running.settings.write_text(
        changed
        + '[log]\nlevel = "DEBUG"\n[vtns.operator]\nurl = "http://127.0.0.1:8"\nallow_http = true\n'
        + f'[reporting]\nstate = "{running.folder}"\n'
    )
    answer = await running.gateway.reload()
    assert "VEN-GWY-046" in answer["problem"]
    snapshot = running.gateway.snapshot()
    assert (snapshot["vtn"]["url"], snapshot["others"]) == ("http://127.0.0.1:9", [])
    assert [note for note in snapshot["notes"] if "VEN-GWY-046" in note]

    running.settings.write_text(changed)
    answer = await running.gateway.reload()
    assert answer == {"applied": ["vtn.url"], "restart": [], "problem": None}
    assert not [note for note in running.gateway.snapshot()["notes"] if "VEN-GWY-046" in note]


async def test_settings_nested_too_deeply_and_unexpected_errors_change_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says why, and the gateway goes on."""
    text = running.settings.read_text()
    running.settings.write_text("a = " + "[" * 100_000)
    assert "VEN-CFG-026" in (await running.gateway.reload())["problem"]

    def fail() -> None:
        raise RuntimeError

    monkeypatch.setattr(running.gateway, "_reread", fail)
    assert "VEN-GWY-046" in (await running.gateway.reload())["problem"]
    monkeypatch.undo()
    running.settings.write_text(text)
    assert (await running.gateway.reload())["problem"] is None


async def test_many_signals_at_once_read_the_settings_once_or_twice(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that come before a reload begins are served by it; later ones by the next."""
    caplog.set_level("INFO")
    for _ in range(100):
        running.gateway.reload_soon()
    await running.until(lambda: not running.gateway._reloads, "all are served")
    assert [code_of(one.msg) for one in caplog.records].count("VEN-GWY-042") == 1


async def test_notes_go_once_their_cause_is_mended(running: Running) -> None:
    """Of connections, of rows, of a VTN without resources and of settings for a restart."""
    text = running.settings.read_text()

    def noted(code: str) -> bool:
        return any(code in note for note in running.gateway.snapshot()["notes"])

    running.settings.write_text(text.replace('"site"', '"inn"'))
    await running.gateway.reload()
    assert noted("VEN-GWY-045")
    running.settings.write_text(text)
    await running.gateway.reload()
    assert not noted("VEN-GWY-045")

    with running.registry() as registry:
        registry.set_enabled("a", False)
        registry.set_enabled("b", False)
    await running.until(lambda: noted("VEN-GWY-028"), "nothing is served")
    with running.registry() as registry:
        registry.bulk_upsert([resource("a", file=" "), resource("b")])
        registry.set_enabled("a", True)
        registry.set_enabled("b", True)
    await running.until(lambda: not noted("VEN-GWY-028") and noted("VEN-GWY-020"), "a cannot be read")
    with running.registry() as registry, registry.get_connection() as db:
        db.execute("UPDATE resources SET capacities = '{' WHERE resource_id = 'b'")
    running.gateway.reload_soon()
    await running.until(lambda: noted("resources row"), "the row of b makes no sense")
    with running.registry() as registry:
        registry.bulk_upsert([resource("a"), resource("b")])
    await running.until(lambda: not noted("VEN-GWY-020") and not noted("resources row"), "all is well")


async def test_edit_of_one_resource_makes_nothing_anew_for_the_others(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is reported of them nor the rules of their meters: there may be thousands."""
    made: list[str] = []
    of, rules = Reportable.of, meter_rules

    def counted_of(one: Resource, name: str, targets: Collection[str] = ()) -> Reportable:
        made.append(f"reportable {one.resourceID}")
        return of(one, name, targets)

    def counted_rules(one: Resource) -> MeterRules:
        made.append(f"rules {one.resourceID}")
        return rules(one)

    monkeypatch.setattr(Reportable, "of", counted_of)
    monkeypatch.setattr("venclient.intake.meter_rules", counted_rules)
    for power_kw in (50, 60):  # the first change of all fills what is kept
        made.clear()
        with running.registry() as registry:
            registry.update_resource("a", capacities={"P_max_kw": power_kw})
            version = registry.version().number
        await running.until(
            lambda: running.gateway.snapshot()["registry"]["running"] == version,  # noqa: B023
            "the edit is taken up",
        )
    assert sorted(made) == ["reportable a", "rules a"]


async def test_state_files_of_all_vtns_are_never_meter_files(running: Running) -> None:
    """Those of further VTNs are protected as well, also of one that a reload adds."""
    operator = 'url = "http://127.0.0.1:9/op"\nallow_http = true\nven_name = "o"\nstate = "operator.db"\n'
    with running.settings.open("a") as file:
        file.write(f"[vtns.operator]\n{operator}")
    assert (await running.gateway.reload())["problem"] is None
    own = {path.name for path in running.gateway._own}
    assert {"state.db", "operator.db", "readings.db", "resources.db", "resources.db.key"} <= own
    assert set(running.gateway._own) == set(running.gateway._own_files())


async def test_each_note_has_its_time(running: Running) -> None:
    """The snapshot has the time since when each note holds, and since when a meter cannot be reached."""
    running.settings.write_text("[ven")
    assert (await running.gateway.reload())["problem"]
    await running.until(lambda: running.connections["a"]["state"] == "dark", "a.csv is not there")
    snapshot = running.gateway.snapshot()
    assert snapshot["notes"]
    assert len(snapshot["notes"]) == len(snapshot["notes_since"])
    times = [*snapshot["notes_since"], running.connections["a"]["since"]]
    assert all(snapshot["started"] <= since <= running.gateway.snapshot()["now"] for since in times)
