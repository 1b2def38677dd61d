"""Find sentences for users that stand outside the catalogue of messages (`venclient/messages/`).

python tools/messages_lint.py            exit with status 1 when a file has more of them than its baseline
python tools/messages_lint.py --list     print them all
python tools/messages_lint.py --write    lower the baseline to what there is

A finding is: a literal text that is raised, logged above DEBUG, printed or given as a hint, a subject or
advice; any other literal of four words or more that is not documentation, help text, SQL, a pattern or member
of a generated file; and in the tests an expectation of an error's words in place of its code (`match="..."`,
`"..." in str(error.value)`).
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
    r"GROUP|AND|OR|ON|LEFT|JOIN|UNION|VALUES|REPLACE|LOCK|NOT|EXISTS|VACUUM|ANALYZE|SET|CASE|COALESCE|RETURNING|"
    r"SHOW)\b"
    # Parts of statements: a column's type, an assignment or condition, a list of columns.
    r"|^(TEXT|INTEGER|REAL|BLOB)\s+(NOT|DEFAULT|PRIMARY)\b"
    r"|^\w+ (=|<|>|<=|>=) *('\w*'|NULL\b|CASE\b|\?|\d+|\w+ [+-] |ms\b)|^\w+ IN \("
    r"|^[a-z_]+(, [a-z_]+){3,}$"
)
#: A settings file that a command writes.
TABLE = re.compile(r"^\[\w+\]\n\w+ = ", re.MULTILINE)
WORD = re.compile(r"(?<![\w.:/=-])[A-Za-zÀ-ÿ']{2,}(?![\w=:/(])")
LOGGED = {"info", "warning", "error", "exception", "critical"}
#: Functions that write to a screen, of any object (`typer.echo`, `console.print`, `sys.exit`).
PRINTED = {"echo", "secho", "print", "rule", "log", "exit", "fail"}
STYLE = re.compile(r"^(bold|dim|italic)( \w+)*$")
#: Keywords of errors and findings that a user reads.
SHOWN = {"hint", "advice", "subject", "what"}
#: A request line names what was asked, in the words of HTTP.
REQUEST = re.compile(r"^(GET|POST|PUT|DELETE) ")
#: Functions of `re` whose first argument is a pattern.
PATTERNS = {"compile", "match", "fullmatch", "search", "sub", "split", "findall", "finditer"}
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
        self._printed_by = PRINTED

    def _add(self, node: ast.AST, text: str, why: str) -> None:
        self.found.setdefault(node.lineno, f"{why}: {text.strip()[:70]!r}")  # type: ignore[attr-defined]
        self._skip(node)

    def _skip(self, node: ast.AST) -> None:
        self._skipped.update(id(inner) for inner in ast.walk(node))

    def visit_Expr(self, node: ast.Expr) -> None:
        """Skip docstrings."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note where `say` prints."""
        if node.module == "venclient.screen":
            self._printed_by = PRINTED | {"say"}

    def visit_Raise(self, node: ast.Raise) -> None:
        """Find raised literals."""
        call = node.exc
        if isinstance(call, ast.Call) and call.args:
            text = literal(call.args[0])
            name = ast.unparse(call.func)
            internal = name.endswith(("AssertionError", "NotImplementedError"))
            if text and " " in text.strip() and not internal and not REQUEST.match(text):
                self._add(call.args[0], text, "raised")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Find logged and printed literals and hints; skip help texts and patterns."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if name in LOGGED and "log" in owner.lower() and node.args:
            text = literal(node.args[0])
            if text:
                self._add(node.args[0], text, "logged")
        if name == "debug":
            self._skip(node)
        if owner == "re" and name in PATTERNS:
            self._skip(node.args[0])
        if (name or ast.unparse(node.func)) in self._printed_by and not isinstance(node.func, ast.Call):
            self._printed(node)
        if owner == "typer" and name in {"Option", "Argument", "Typer"}:
            self._skip(node)
        if isinstance(node.func, ast.Attribute) and name.isupper():
            self._parameters(node)
        for keyword in node.keywords:
            if keyword.arg in HELP:
                self._skip(keyword.value)
            elif keyword.arg in SHOWN:
                text = literal(keyword.value) or ""
                # The name of a command is not a sentence.
                if len(WORD.findall(text)) >= 2 and not text.startswith("ven "):
                    self._add(keyword.value, text, keyword.arg)
        self.generic_visit(node)

    def _parameters(self, node: ast.Call) -> None:
        """Find words of our own in the parameters of a message, however few."""
        for keyword in node.keywords:
            for inner in ast.walk(keyword.value):
                text = literal(inner) if isinstance(inner, ast.Constant | ast.JoinedStr) else None
                if text and id(inner) not in self._skipped and " " in text and _joins_more(text):
                    self._add(inner, text, "parameter")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """Skip what is said when the package, and so its catalogue, cannot be imported."""
        if node.type is None or ast.unparse(node.type) not in {"ImportError", "ModuleNotFoundError"}:
            self.generic_visit(node)

    def _printed(self, node: ast.Call) -> None:
        """Find the words of our own in what is printed, however few."""
        for argument in node.args:
            for inner in ast.walk(argument):
                text = literal(inner) if isinstance(inner, ast.Constant | ast.JoinedStr) else None
                if text and id(inner) not in self._skipped and " " in text and _has_words(text):
                    self._add(inner, text, "printed")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Find sentences in f-strings."""
        self._sentence(node)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Find sentences in plain strings."""
        self._sentence(node)

    def _sentence(self, node: ast.AST) -> None:
        text = literal(node)
        if id(node) in self._skipped or not text or SQL.match(text) or TABLE.search(text):
            return
        if len(WORD.findall(text)) >= 4:
            self._add(node, text, "sentence")


def _joins_more(text: str) -> bool:
    """Return whether a parameter has words other than "and" and "or" between values."""
    return bool(set(WORD.findall(text)) - {"and", "or"})


def _has_words(text: str) -> bool:
    """Return whether a printed text has words: units, abbreviations and styles of the terminal are none."""
    return (
        not STYLE.match(text)
        and not text.startswith("venclient ")
        and any(word != word.upper() for word in WORD.findall(text))
    )


def _in_sources(path: Path) -> list[Finding]:
    name = path.relative_to(ROOT).as_posix()
    if name.startswith(EXEMPT):
        return []
    visitor = Sentences(name)
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return [Finding(name, line, what) for line, what in sorted(visitor.found.items())]


def _in_tests(path: Path) -> list[Finding]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    return expected_words(module, path.relative_to(ROOT).as_posix())


def expected_words(module: ast.Module, name: str) -> list[Finding]:
    """Return where a test expects words of an error in place of its code."""
    found = []
    for node in ast.walk(module):
        texts: list[str | None] = []
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("raises"):
            texts = [literal(keyword.value) for keyword in node.keywords if keyword.arg == "match"]
            # The name of a file, a setting or a host is not a sentence.
            texts = [text for text in texts if text and not re.fullmatch(r"[\w./\\-]*[./][\w./\\-]*", text)]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.Eq):
            texts = [literal(node.left)] if any(map(_is_caught, node.comparators)) else []
            texts = [text for text in texts if text and len(WORD.findall(text)) >= 2]
        found += [
            Finding(name, node.lineno, f"expects words, not a code: {text[:60]!r}")  # type: ignore[attr-defined]
            for text in texts
            if text and "VEN-" not in text and WORD.search(text)
        ]
    return found


def _is_caught(node: ast.AST) -> bool:
    """Return whether an expression is the text of a caught error, as `str(caught.value)` is."""
    caught = r"(str|repr)\(\w+\.value\)|\w+\.value\.(what|text|hint|problems|subject)\b"
    return re.match(caught, ast.unparse(node)) is not None


def findings(root: Path = ROOT) -> list[Finding]:
    """Return all findings of the product and of its tests."""
    sources = [*sorted((root / "venclient").rglob("*.py")), root / "prepare_samples.py"]
    found = [finding for path in sources for finding in _in_sources(path)]
    return found + [one for path in sorted((root / "tests").rglob("*.py")) for one in _in_tests(path)]


if __name__ == "__main__":
    sys.exit(main(findings(), BASELINE, sys.argv[1:]))
