"""Find sentences for users that stand outside the catalogue of messages (`venclient/messages/`).

python tools/messages_lint.py            exit with status 1 when a file has more of them than its baseline
python tools/messages_lint.py --list     print them all
python tools/messages_lint.py --write    lower the baseline to what there is

A finding is: a literal text that is raised, logged above DEBUG or given as a hint; any other literal of four
words or more that is no documentation, help text, SQL or member of a generated file; and in the tests an
expectation of an error's words (`match="..."`) in place of its code.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from ratchet import ROOT, Finding, main

BASELINE = ROOT / "tools" / "messages_baseline.json"
#: Wire content of the local VTN and broker, and generated or declarative texts that are documentation.
EXEMPT = (
    "venclient/messages/",
    "venclient/simulation/vtn/",
    "venclient/simulation/mqtt_broker.py",
    "venclient/settings_table.py",
    "venclient/registry/migrations/",
)
SQL = re.compile(
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ALTER|DROP|BEGIN|WITH|ATTACH|DETACH|COMMENT|FROM|WHERE|ORDER|"
    r"GROUP|AND|OR|ON|LEFT|JOIN|UNION|VALUES|REPLACE|LOCK|NOT|EXISTS|VACUUM|ANALYZE|SET|CASE|COALESCE|RETURNING)\b"
)
WORD = re.compile(r"(?<![\w.:/=-])[A-Za-zÀ-ÿ']{2,}(?![\w=:/(])")
LOGGED = {"info", "warning", "error", "exception", "critical"}
#: Keywords whose text is documentation of the command line.
HELP = {"help", "epilog", "short_help", "metavar"}


def literal(node: ast.AST) -> str | None:
    """Return the literal parts of a string expression; None when it has none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else " " for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [part for part in (literal(node.left), literal(node.right)) if part]
        return " ".join(parts) or None
    return None


class Sentences(ast.NodeVisitor):
    """Collects the sentences of one module."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: dict[int, str] = {}
        self._skipped: set[int] = set()

    def _add(self, node: ast.AST, text: str, why: str) -> None:
        self.found.setdefault(node.lineno, f"{why}: {text.strip()[:70]!r}")  # type: ignore[attr-defined]
        self._skip(node)

    def _skip(self, node: ast.AST) -> None:
        self._skipped.update(id(inner) for inner in ast.walk(node))

    def visit_Expr(self, node: ast.Expr) -> None:
        """Skip docstrings."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Find raised literals."""
        call = node.exc
        if isinstance(call, ast.Call) and call.args:
            text = literal(call.args[0])
            name = ast.unparse(call.func)
            if text and " " in text.strip() and not name.endswith(("AssertionError", "NotImplementedError")):
                self._add(call.args[0], text, "raised")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Find logged literals and hints; skip help texts."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if name in LOGGED and "log" in owner.lower() and node.args:
            text = literal(node.args[0])
            if text and " " in text:
                self._add(node.args[0], text, "logged")
        if name == "debug":
            self._skip(node)
        if owner == "typer" and name in {"Option", "Argument", "Typer"}:
            self._skip(node)
        for keyword in node.keywords:
            if keyword.arg in HELP:
                self._skip(keyword.value)
            elif keyword.arg == "hint" and (text := literal(keyword.value)) and " " in text.strip():
                self._add(keyword.value, text, "hint")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Find sentences in f-strings."""
        self._sentence(node)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Find sentences in plain strings."""
        self._sentence(node)

    def _sentence(self, node: ast.AST) -> None:
        text = literal(node)
        if id(node) in self._skipped or not text or SQL.match(text):
            return
        if len(WORD.findall(text)) >= 4:
            self._add(node, text, "sentence")


def _in_sources(path: Path) -> list[Finding]:
    name = path.relative_to(ROOT).as_posix()
    if name.startswith(EXEMPT):
        return []
    visitor = Sentences(name)
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return [Finding(name, line, what) for line, what in sorted(visitor.found.items())]


def _in_tests(path: Path) -> list[Finding]:
    name = path.relative_to(ROOT).as_posix()
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("raises")):
            continue
        for keyword in node.keywords:
            text = literal(keyword.value) if keyword.arg == "match" else None
            if text is not None and "VEN-" not in text and " " in text:
                found.append(Finding(name, node.lineno, f"expects words, not a code: {text[:60]!r}"))
    return found


def findings(root: Path = ROOT) -> list[Finding]:
    """Return all findings of the product and of its tests."""
    sources = [*sorted((root / "venclient").rglob("*.py")), root / "prepare_samples.py"]
    found = [finding for path in sources for finding in _in_sources(path)]
    return found + [one for path in sorted((root / "tests").rglob("*.py")) for one in _in_tests(path)]


if __name__ == "__main__":
    sys.exit(main(findings(), BASELINE, sys.argv[1:]))
