"""What the VTN remembers, also over a restart."""

from __future__ import annotations

from pathlib import Path

from venclient.clock import ManualClock
from venclient.simulation.vtn.store import Store


def test_a_file_keeps_objects(tmp_path: Path) -> None:
    """Objects, their times and a report's program are there again; what was removed is not."""
    clock = ManualClock()
    path = tmp_path / "vtn.jsonl"
    store = Store(clock.now, path)
    kept = store.create("report", {"eventID": "e", "clientName": "æ", "clientID": "c"}, program_id="p")
    kept = store.update(kept, {**kept.content, "reportName": "r"}, program_id="p")
    store.remove(store.create("program", {"programName": "gone"}))
    store.close()
    again = Store(clock.now, path)
    assert again.find("report", programID="p", clientName="æ") == [kept]
    assert again.find("program") == []
    again.close()
    assert len(path.read_bytes().splitlines()) == 1, "compacted when it was opened"


def test_a_line_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    """Half a last line costs that object only."""
    path = tmp_path / "vtn.jsonl"
    store = Store(ManualClock().now, path)
    for name in ("a", "b"):
        store.create("program", {"programName": name})
    store.close()
    path.write_bytes(path.read_bytes()[:-20])
    again = Store(ManualClock().now, path)
    assert [record.content["programName"] for record in again.find("program")] == ["a"]
    again.close()


def test_a_modification_is_always_later() -> None:
    """Two changes at one moment still have different modification times."""
    store = Store(ManualClock().now)
    first = store.create("program", {"programName": "a"})
    second = store.update(first, {"programName": "b"})
    assert store.update(second, {"programName": "c"}).modified > second.modified > first.modified
    assert store.find("program", programName="a") == []


def test_thousands_are_found_at_once() -> None:
    """5,000 resources of one ven are indexed by name; the search looks at one of them."""
    store = Store(ManualClock().now)
    for number in range(5000):
        store.create(
            "resource", {"resourceName": f"r{number}", "venID": "v", "clientID": "c", "targets": ["t"]}
        )
    (found,) = store.find("resource", venID="v", resourceName="r4321")
    assert found.content["resourceName"] == "r4321"
    assert store.grants("c") == {"t"}
    for record in store.find("resource", venID="v"):
        store.remove(record)
    assert store.grants("c") == frozenset()
