"""The lints of messages and wording find what they are for, and their counts may only fall."""

from __future__ import annotations

import ast
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
    'log.error("%s%s", about, problem)',
    'typer.echo(f"{count} rows")',
    'console.print(Text(f"no {name}"))',
    'raise ConfigError(TEXT(), subject="username or password")',
    'finding("disk", advice="free some")',
    'x = vtn.ENDED(reason=why or "no reason given")',
]
INNOCENT = [
    '"""Return the value of a setting as text."""',
    'run("SELECT id, name FROM resources WHERE enabled = 1 ORDER BY name")',
    'typer.Option("--db", help="The resource database to look at.")',
    'log.debug("polled %s in %s s", name, took)',
    "raise ConfigError(cfg.UNKNOWN(name=name))",
    'x = "device away"',
    'typer.echo(f"{time:%H:%M:%S} UTC")',
    'raise self._refused("GET https://vtn/events", cfg.NO())',
    'TYPE = "TEXT NOT NULL DEFAULT"',
    "update(\"state = 'sent', last_error = NULL, report_id = ?\")",
    'FORM = re.compile(r"partial write|unable to parse|type conflict")',
    'raise ConfigError(cfg.NO(), subject="ven run")',
    'x = cfg.NO(known=" or ".join(names))',
    'try:\n        import x\n    except ImportError:\n        sys.exit("this package is not installed")',
]


@pytest.mark.parametrize("line", SAMPLES)
def test_a_sentence_outside_the_catalogue_is_found(tools: Any, line: str) -> None:
    """Raised, logged and listed sentences count as findings."""
    visitor = tools("messages_lint").Sentences("x.py")
    visitor.visit(ast.parse(f"def f():\n    {line}"))
    assert visitor.found


@pytest.mark.parametrize("line", INNOCENT)
def test_what_is_no_message_is_not_found(tools: Any, line: str) -> None:
    """Docstrings, SQL, help texts, debug lines and short words do not count."""
    visitor = tools("messages_lint").Sentences("x.py")
    visitor.visit(ast.parse(f"def f():\n    {line}"))
    assert not visitor.found


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ('pytest.raises(ConfigError, match="closed")', 1),
        ('pytest.raises(ConfigError, match=r"VEN-CFG-00[1-4]")', 0),
        (r'pytest.raises(ConfigError, match=r"state\.db")', 0),
        ('assert "no such file" in str(caught.value)', 1),
        ('assert caught.value.code == "VEN-CFG-003"', 0),
        ('assert "secret" not in str(caught.value)', 0),
    ],
)
def test_an_expectation_of_words_is_found(tools: Any, line: str, count: int) -> None:
    """Words of an error in a test count; its code, a file name and what must not be shown do not."""
    assert len(tools("messages_lint").expected_words(ast.parse(line), "tests/x.py")) == count


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
