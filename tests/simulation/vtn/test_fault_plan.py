"""A fault plan in the seed file: what it does, and every mistake in it reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulation.vtn.test_instrument import ask, plant
from venclient.clock import ManualClock
from venclient.errors import ConfigError
from venclient.simulation.vtn import LocalVtn
from venclient.simulation.vtn.fault_plan import ACTS, read_fault
from venclient.simulation.vtn.faults import FOREVER
from venclient.simulation.vtn.seed import read_seed

CLIENT = '[[clients]]\nid = "ven-1"\nsecret = "s"\n'


def seed(folder: Path, *faults: str) -> Path:
    """Write a seed file with a client and these faults."""
    path = folder / "seed.toml"
    path.write_text(CLIENT + "".join(f"[[faults]]\n{one}\n" for one in faults))
    return path


def test_a_row_becomes_a_fault(tmp_path: Path) -> None:
    """All members arrive, and what is left out has its default."""
    path = seed(
        tmp_path,
        'method = "POST"\npath = "^/reports"\ntimes = -1\nskip = 2\n'
        "latency_s = 0.5\nstatus = 429\nretry_after_s = 3",
        'cut = "after"',
        *(f'act = "{act}"' for act in ACTS),
    )
    plan = read_seed(path).faults
    acts = {act: (lambda act=act: act) for act in ACTS}
    first, cut, *rest = [one.armed(acts) for one in plan]
    assert (first.method, first.path, first.times, first.skip) == ("POST", "^/reports", FOREVER, 2)
    assert (first.latency_s, first.status, first.retry_after_s) == (0.5, 429, 3)
    assert (cut.cut, cut.times, cut.method, cut.act) == ("after", 1, None, None)
    assert [one.act() for one in rest if one.act is not None] == list(ACTS)


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ({"status": 500, "paht": "x"}, "VEN-SIM-087", "'paht'"),
        ({"status": 200}, "VEN-SIM-088", "status = 200"),
        ({"status": True}, "VEN-SIM-088", "status = True"),
        ({"status": 500, "method": "get"}, "VEN-SIM-088", "expected GET or POST or PUT or DELETE"),
        ({"status": 500, "path": "("}, "VEN-SIM-088", "expected a regular expression"),
        ({"status": 500, "path": 7}, "VEN-SIM-088", "expected a regular expression"),
        ({"status": 500, "times": 0}, "VEN-SIM-088", "or -1 for ever"),
        ({"status": 500, "times": 1.5}, "VEN-SIM-088", "or -1 for ever"),
        ({"status": 500, "skip": -1}, "VEN-SIM-088", "skip = -1"),
        ({"latency_s": float("nan")}, "VEN-SIM-088", "latency_s = nan"),
        ({"latency_s": "1"}, "VEN-SIM-088", "latency_s = '1'"),
        ({"status": 503, "retry_after_s": 1.5}, "VEN-SIM-088", "expected whole seconds"),
        ({"latency_s": 1, "retry_after_s": 1}, "VEN-SIM-091", ""),
        ({"cut": "during"}, "VEN-SIM-088", "expected before or after"),
        ({"cut": "after", "status": 500}, "VEN-SIM-090", ""),
        ({"act": ["drift"]}, "VEN-SIM-088", "expected drift or expire_tokens"),
        ({"path": "^/events"}, "VEN-SIM-089", ""),
    ],
)
def test_a_mistake_in_a_fault_is_told(row: dict[str, Any], code: str, said: str) -> None:
    """Each with the key, the value and what was expected."""
    fault, problems = read_fault(row)
    assert fault is None
    assert [one for one in problems if one.code == code and said in one]


def test_all_mistakes_are_told_at_once_with_their_row(tmp_path: Path) -> None:
    """Two in one row and one in another are three sentences, each with file and row."""
    path = seed(tmp_path, 'times = 0\ncut = "x"', 'status = 500\nskip = "a"', "latency_s = 1")
    with pytest.raises(ConfigError, match="VEN-SIM-083") as caught:
        read_seed(path)
    assert [one.split(": ")[1] for one in caught.value.problems] == ["faults[0]", "faults[0]", "faults[1]"]
    assert all(one.startswith(str(path)) for one in caught.value.problems)


@pytest.mark.peer
async def test_the_plan_of_a_file_strikes(tmp_path: Path) -> None:
    """A VTN that starts with the file answers as the plan says, in its order, and then well."""
    path = seed(
        tmp_path,
        'path = "^/programs"\nstatus = 503\nretry_after_s = 7',
        'path = "^/programs"\nact = "expire_tokens"',
    )
    async with LocalVtn(seed=path) as vtn, ask(vtn) as http:
        plant(vtn, 1)
        busy, expired, still = [await http.get(f"{vtn.url}/programs") for _ in range(3)]
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "7")
        assert (expired.status_code, still.status_code) == (401, 401)
    async with LocalVtn(seed=path) as again:
        assert [one.times for one in again.faults] == [1, 1]


@pytest.mark.peer
async def test_drift_moves_pages_and_changes_no_object(tmp_path: Path) -> None:
    """Between two pages the oldest goes to the end: one event is in neither, all are still there."""
    path = seed(tmp_path, 'path = "^/events"\nskip = 1\nact = "drift"')
    async with LocalVtn(seed=path, state=tmp_path / "state.jsonl") as vtn, ask(vtn) as http:
        before = {one["id"]: one for one in plant(vtn, 4)}
        pages = [
            [one["eventName"] for one in (await http.get(f"{vtn.url}/events?skip={skip}&limit=2")).json()]
            for skip in (0, 2)
        ]
        assert pages == [["e0", "e1"], ["e3", "e0"]]
        assert {one["id"]: one for one in vtn.events} == before
    async with LocalVtn(seed=path, state=tmp_path / "state.jsonl", clock=ManualClock()) as kept:
        assert [one["eventName"] for one in kept.events] == ["e1", "e2", "e3", "e0"]


async def test_a_broker_that_is_not_there_is_told_at_the_start(free_port: int) -> None:
    """A VTN that should publish and cannot does not start as if all were well."""
    from venclient.simulation.vtn.push import Push

    for uri, said in (
        (f"mqtt://127.0.0.1:{free_port}", "VEN-SIM-060"),
        ("nowhere", "VEN-SIM-059"),
    ):
        with pytest.raises(ConfigError, match=said):
            async with LocalVtn(clients=[{"id": "ven-1"}], push=Push(mqtt_uri=uri)):
                pytest.fail("it started")
