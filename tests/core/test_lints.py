"""The lints of messages and wording find what they are for, and their counts may only fall."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def tools(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a module of `tools/`."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    yield importlib.import_module
    for name in ("ratchet", "messages_lint", "language_lint"):
        sys.modules.pop(name, None)


SAMPLES = [
    'raise ConfigError("no host")',
    'raise ConfigError(f"{key} is unknown")',
    'log.warning("%s is away", name)',
    'raise ConfigError(TEXT(), hint="look there")',
    'problems.append(f"{key} must be a positive number")',
    'return "the file does not exist"',
]
INNOCENT = [
    '"""Return the value of a setting as text."""',
    'run("SELECT id, name FROM resources WHERE enabled = 1 ORDER BY name")',
    'typer.Option("--db", help="The resource database to look at.")',
    'log.debug("polled %s in %s s", name, took)',
    "raise ConfigError(cfg.UNKNOWN(name=name))",
    'x = "device away"',
]


@pytest.mark.parametrize("line", SAMPLES)
def test_a_sentence_outside_the_catalogue_is_found(tools: Any, line: str) -> None:
    """Raised, logged and listed sentences count as findings."""
    import ast

    visitor = tools("messages_lint").Sentences("x.py")
    visitor.visit(ast.parse(f"def f():\n    {line}"))
    assert visitor.found


@pytest.mark.parametrize("line", INNOCENT)
def test_what_is_no_message_is_not_found(tools: Any, line: str) -> None:
    """Docstrings, SQL, help texts, debug lines and short words do not count."""
    import ast

    visitor = tools("messages_lint").Sentences("x.py")
    visitor.visit(ast.parse(f"def f():\n    {line}"))
    assert not visitor.found


def test_wording_that_is_ruled_out_is_found(tools: Any) -> None:
    """Each rule of the language lint finds its sample, and plain wording passes."""
    found = tools("language_lint").in_text
    for line in (
        '"""Give the rows."""',
        "what the VTN told us",
        "99 is no port",
        "so that it works",
        "reports owed",
    ):
        assert found(line), line
    assert not found('"""Return the rows that the VTN sent."""\nThere is no longer a limit.')


def test_a_count_that_rises_fails_and_one_that_falls_must_be_noted(tools: Any, tmp_path: Path) -> None:
    """More findings than the baseline fail; fewer fail until the baseline is lowered; it never rises."""
    ratchet = tools("ratchet")
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({"a.py": 1, "b.py": 2}))
    one, two = ratchet.Finding("a.py", 1, "x"), ratchet.Finding("a.py", 2, "x")
    b = [ratchet.Finding("b.py", n, "x") for n in (1, 2)]
    assert ratchet.main([one, *b], baseline, []) == 0
    assert ratchet.main([one, two, *b], baseline, []) == 1
    assert ratchet.main([one, b[0]], baseline, []) == 1
    assert ratchet.main([one, two, b[0]], baseline, ["--write"]) == 1
    assert json.loads(baseline.read_text()) == {"a.py": 1, "b.py": 1}
