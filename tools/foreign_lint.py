"""Find places where foreign text could reach a terminal or log as it came, with its escapes and line ends.

python tools/foreign_lint.py     print the findings; exit with status 1 when there are any

A finding is, in the product:

- printing past `venclient.screen` (`print`, `typer.echo`, `sys.stdout.write`);
- a log line above DEBUG that is not a message of the catalogue: those make their parameters printable;
- text for rich that is not a `cell`: plain strings are read as markup, and `rich.text.Text` hides no escape;
- a progress bar that reads its description as markup.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from ratchet import ROOT, Finding

#: `screen` is where all is printed; `view` makes the snapshot that it shows printable as a whole.
PRINTS = ("venclient/screen.py",)
USES_RICH_TEXT = (*PRINTS, "venclient/view.py")
#: Files that write their exports to stdout as they are: CSV and JSON whose cells are safe.
EXPORTS = ("venclient/cli/resources.py", "venclient/cli/meterdata.py", "venclient/cli/readings.py")
#: The specification's own program: a table of pandas.
EXEMPT = ("venclient/simulation/vtn/", "demo_db_usage.py")
LOGGED = {"info", "warning", "error", "exception", "critical"}
#: Calls that return printable text.
SAFE_CALLS = {"cell", "foreign", "printable", "with_code", "in_full", "within", "mapped", "number_text"}


class Foreign(ast.NodeVisitor):
    """Collects the findings of one module."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: list[Finding] = []

    def _add(self, node: ast.AST, what: str) -> None:
        self.found.append(Finding(self.path, node.lineno, what))  # type: ignore[attr-defined]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Find rich's own text."""
        if node.module in {"rich.text", "rich.markup"} and self.path not in USES_RICH_TEXT:
            self._add(node, "rich's Text shows escapes as they are: use venclient.screen.cell")

    def visit_Call(self, node: ast.Call) -> None:
        """Find what prints, logs and fills tables."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        called = ast.unparse(node.func)
        if self.path not in PRINTS:
            self._printing(node, called)
        if name in LOGGED and owner.lower().split(".")[-1].strip("_") in {"log", "logger"} and node.args:
            self._logging(node)
        if name == "add_row" and self.path not in USES_RICH_TEXT:
            for argument in node.args:
                if not _is_cell(argument):
                    self._add(argument, "a string in a table is read as markup: use venclient.screen.cell")
        if name == "print" and called != "self.print" and node.args:
            self._rich_print(node)
        if called == "TextColumn" and not _has_no_markup(node):
            self._add(node, "the text of a progress bar is read as markup: add markup=False")
        self.generic_visit(node)

    def _printing(self, node: ast.Call, called: str) -> None:
        streams = ("sys.stdout.write", "sys.stderr.write", "sys.stdout.writelines", "sys.stderr.writelines")
        if called in {"print", "typer.echo", "typer.secho", "click.echo", "click.secho"}:
            self._add(node, f"{called} prints foreign text as it is: use venclient.screen.say")
        elif called in streams and self.path not in EXPORTS:
            self._add(node, f"{called} prints foreign text as it is: use venclient.screen.write_out")

    def _logging(self, node: ast.Call) -> None:
        text = node.args[0]
        if not isinstance(text, ast.Name | ast.Attribute) and not _is_message(text):
            self._add(text, "a log line that is not a message of the catalogue")
        if len(node.args) > 1:
            self._add(node, "parameters of a log line are not made printable: use a message")

    def _rich_print(self, node: ast.Call) -> None:
        for argument in node.args:
            raw = isinstance(argument, ast.JoinedStr | ast.BinOp) and not _is_cell(argument)
            if raw and not _has_no_markup(node):
                self._add(argument, "a string is read as markup: use venclient.screen.cell")


def _is_message(node: ast.AST) -> bool:
    """Return whether an expression is a message of the catalogue, or makes text printable."""
    if isinstance(node, ast.IfExp):
        return _is_message(node.body) and _is_message(node.orelse)
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Name | ast.Attribute)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    return name.isupper() or name in SAFE_CALLS or name.endswith("_text") or name == "message"


def _is_cell(node: ast.AST) -> bool:
    """Return whether a table cell or printed text is made printable, or is a literal of ours."""
    parts: tuple[ast.AST, ...] = ()
    match node:
        case ast.Starred():
            parts = (node.value,)
        case ast.IfExp():
            parts = (node.body, node.orelse)
        case ast.BinOp():
            parts = (node.left, node.right)
        case ast.Tuple() | ast.List():
            parts = tuple(node.elts)
        case ast.GeneratorExp() | ast.ListComp():
            parts = (node.elt,)
        case ast.Call():
            called = node.args[0] if ast.unparse(node.func) == "map" else node.func
            return ast.unparse(called) == "cell"
        case _:
            return isinstance(node, ast.Constant | ast.Name)
    return all(map(_is_cell, parts))


def _has_no_markup(node: ast.Call) -> bool:
    return any(one.arg == "markup" and ast.unparse(one.value) == "False" for one in node.keywords)


def findings(root: Path = ROOT) -> list[Finding]:
    """Return all findings of the product."""
    sources = [*sorted((root / "venclient").rglob("*.py")), *sorted(root.glob("*.py"))]
    return [
        finding
        for path in sources
        if not (name := path.relative_to(root).as_posix()).startswith(EXEMPT)
        for finding in findings_in(path.read_text(encoding="utf-8"), name)
    ]


def findings_in(source: str, name: str) -> list[Finding]:
    """Return the findings of one module."""
    visitor = Foreign(name)
    visitor.visit(ast.parse(source))
    return visitor.found


def main() -> int:
    """Print the findings; return 1 when there are any."""
    found = findings()
    for one in found:
        print(f"{one.path}:{one.line}: {one.what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
