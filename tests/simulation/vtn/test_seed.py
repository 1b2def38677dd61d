"""Seeds: what they plant, relative starts, and mistakes reported all at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from venclient.clock import ManualClock
from venclient.errors import ConfigError
from venclient.simulation.vtn.seed import plant, read_seed, resolve_start
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import Store

SEED = """
[[clients]]
id = "gateway"
secret = "s"

[[clients]]
id = "operator"
role = "bl"

[[programs]]
id = "flex"
programName = "flexibility"

[[events]]
program = "flexibility"
eventName = "ask"
intervalCount = 3
intervalPeriod = { start = "now+5s aligned 10s", duration = "PT10S" }
intervals = [{ payloads = [{ type = "SIMPLE", values = [0] }] }]
reportDescriptors = [{ payloadType = "USAGE", units = "KWH" }]
"""


def make_service() -> Service:
    """Build a service with an empty store and a clock at 2026-01-01T00:00:03Z."""
    clock = ManualClock(datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC))
    return Service(Store(clock.now), clock)


def test_a_seed_plants_programs_and_events(tmp_path: Path) -> None:
    """Clients, a program by its id, and an event with resolved start and counted intervals."""
    path = tmp_path / "seed.toml"
    path.write_text(SEED)
    seed = read_seed(path)
    assert [(client.id, client.is_bl) for client in seed.clients] == [("gateway", False), ("operator", True)]
    service = make_service()
    plant(seed, service, datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC))
    (event,) = service.store.find("event", programID="flex")
    assert event.content["intervalPeriod"]["start"] == "2026-01-01T00:00:10.000Z"
    assert [interval["id"] for interval in event.content["intervals"]] == [0, 1, 2]


def test_a_kept_store_is_not_seeded_twice(tmp_path: Path) -> None:
    """Planting again adds nothing that is there by id or name."""
    path = tmp_path / "seed.toml"
    path.write_text(SEED)
    service = make_service()
    for _ in range(2):
        plant(read_seed(path), service, datetime(2026, 1, 1, tzinfo=UTC))
    assert len(list(service.store.find("program"))) == len(list(service.store.find("event"))) == 1


def test_a_json_seed_is_read(tmp_path: Path) -> None:
    """The same tables may be JSON."""
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"clients": [{"id": "gateway"}]}))
    assert read_seed(path).clients[0].id == "gateway"


def test_without_a_seed_there_is_one_client_of_each_kind() -> None:
    """Business logic and a VEN, each with its own secret."""
    bl, ven = read_seed(None).clients
    assert (bl.is_bl, ven.is_bl) == (True, False)
    assert bl.secret != ven.secret


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "00:00:04.000Z"),
        ("now+5s", "00:00:09.000Z"),
        ("now-1m", "23:59:04.000Z"),
        ("now aligned 15m", "00:15:00.000Z"),
        ("now + 5s aligned 10s", "00:00:10.000Z"),
        ("2026-01-01T12:00:00Z", "12:00:00Z"),
    ],
)
def test_starts_relative_to_now(text: str, expected: str) -> None:
    """Relative starts round up to the second or to the grid; others stay as they are."""
    now = datetime(2026, 1, 1, 0, 0, 3, 500_000, tzinfo=UTC)
    assert resolve_start(text, now).partition("T")[2] == expected


def test_every_mistake_of_a_seed_is_told(tmp_path: Path) -> None:
    """Unknown tables, bad clients and wrong rows are named together."""
    path = tmp_path / "seed.toml"
    path.write_text(
        'vens = []\nprograms = [3]\n[[clients]]\nrole = "ven"\n[[clients]]\nid = "a"\nrole = "king"\n'
    )
    with pytest.raises(ConfigError) as caught:
        read_seed(path)
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for part in ("'vens'", "programs[0]", "clients[0]", "'king'"):
        assert part in problems


@pytest.mark.parametrize(
    ("event", "part"),
    [
        ({"program": "none"}, "'none'"),
        ({"programID": "none"}, "none"),
        ({}, "programID"),
        ({"programID": "p", "intervalPeriod": {"start": "now+5"}}, "'now+5'"),
        ({"programID": "p", "intervalPeriod": "soon"}, "intervalPeriod"),
        ({"programID": "p", "priority": -1}, "priority"),
    ],
)
def test_a_bad_event_of_a_seed_is_named(event: dict[str, object], part: str) -> None:
    """Events of a seed pass the same checks as those of the API."""
    service = make_service()
    seed = read_seed({"programs": [{"id": "p", "programName": "p"}], "events": [event]})
    with pytest.raises(ConfigError) as caught:
        plant(seed, service, datetime(2026, 1, 1, tzinfo=UTC))
    assert "events[0]" in caught.value.problems[0]
    assert part in caught.value.problems[0]


@pytest.mark.parametrize("text", ["[[clients", "\x00"])
def test_an_unreadable_seed_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    """A file that is no TOML, or not there, is named."""
    path = tmp_path / "seed.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"seed\.toml.*VEN-SIM-077"):
        read_seed(path)
    with pytest.raises(ConfigError, match=r"absent.*VEN-SIM-076"):
        read_seed(tmp_path / "absent.toml")
