"""`ven db changes` lists who changed what in the registry, and when."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.registry.objects import make_resource
from venclient.cli import app
from venclient.clock import ManualClock
from venclient.errors import VenError
from venclient.registry.changes import is_by
from venclient.registry.database import ResourceDatabase

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
runner = CliRunner()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a registry that three users changed, an hour after one another."""
    monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    path = tmp_path / "resources.db"
    clock = ManualClock(T0)
    for actor, name in (("maria@gw:7", "Hotel"), ("Maria@gw:8", "Hotel Nord"), ("mari@gw:9", "Hotel East")):
        with ResourceDatabase(path, clock=clock, actor=actor) as db:
            db.upsert_resource(make_resource("one", resourceName=name))
            if actor == "mari@gw:9":
                db.upsert_resource(make_resource("two", resourceName="School", meterPointId="M2"))
        clock.step(3600)
    return path


def listed(path: Path, *words: object) -> list[dict[str, object]]:
    """Return what `ven db changes --json` prints."""
    result = ven("changes", "--db", path, "--json", *words)
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def ven(*words: object) -> Result:
    """Run `ven db ...`."""
    return runner.invoke(app, ["db", *map(str, words)])


def test_all_changes_are_listed_by_time_with_their_user(path: Path) -> None:
    """Oldest first, each with what changed."""
    found = listed(path)

    assert [one["actor"] for one in found] == ["maria@gw:7", "Maria@gw:8", "mari@gw:9", "mari@gw:9"]
    assert [datetime.fromisoformat(str(one["at"])) - T0 for one in found][:2] == [
        timedelta(0),
        timedelta(hours=1),
    ]
    assert found[1]["before"] == {"resourceName": "Hotel"}
    assert found[1]["after"] == {"resourceName": "Hotel Nord"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--actor", "maria"), [0]),
        (("--actor", "maria@gw"), [0]),
        (("--actor", "mari"), [2, 3]),
        (("--actor", "mar_a"), []),
        (("--since", "2026-03-01T13:00Z"), [1, 2, 3]),
        (("--until", "2026-03-01T13:00Z"), [0]),
        (("--resource", "two"), [3]),
        (("--resource", "school"), [3]),
        (("--resource", "one", "--since", "2026-03-01T12:30Z", "--actor", "Maria"), [1]),
        (("--resource", "one", "--limit", "1"), [2]),
        (("--limit", "2"), [2, 3]),
    ],
)
def test_changes_are_filtered(path: Path, words: tuple[str, ...], expected: list[int]) -> None:
    """By user, time, resource and number, and all of them together."""
    assert listed(path, *words) == [listed(path)[n] for n in expected]


def test_lines_say_what_changed_and_no_terminal_obeys_them(path: Path) -> None:
    """A line for each change and each value; control characters of names are escaped."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO changes (at, actor, action, kind, subject, after) VALUES (?, ?, ?, ?, ?, ?)",
            ("2026-03-02T00:00:00.000Z", "\x1bme", "update", "resource", "\x1bid", '{"a\u001b": "\u001b"}'),
        )
    result = ven("changes", "--db", path)

    assert "2026-03-01 13:00:00 UTC  Maria@gw:8  update resource one" in result.output
    assert "    resourceName: Hotel -> Hotel Nord" in result.output
    assert "\x1b" not in result.output
    assert "hunter2" not in result.output
    assert result.output.splitlines()[-1] == "5 changes shown"


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--since", "yesterday"), "VEN-CLP-013"), (("--resource", "nowhere"), "VEN-CLM-")],
)
def test_slips_are_explained(path: Path, words: tuple[str, ...], code: str) -> None:
    """A wrong time or an unknown resource is an error, not an empty list."""
    result = ven("changes", "--db", path, *words)

    assert isinstance(result.exception, VenError)
    assert result.exception.code.startswith(code)


def test_a_user_is_found_with_and_without_host_and_process() -> None:
    """A part of a name is another user."""
    assert all(is_by("maria@gw:7", wanted) for wanted in ("maria", "maria@gw", "maria@gw:7"))
    assert not any(is_by("maria@gw:7", wanted) for wanted in ("mari", "gw", "maria@g", "Maria", ""))
