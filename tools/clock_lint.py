"""Find tests that assert how long something took: such a test fails on a busy machine.

python tools/clock_lint.py       print the findings; exit with status 1 when there are any

A finding is: an assertion (or a condition before `pytest.fail`) that compares a value derived from a clock
(`time.monotonic`, `perf_counter`, `loop.time`, `datetime.now`, ...), and a time limit under half a minute
around work that is expected to finish. Count the work instead (`tests/counted.py`), wait for a condition
(`tests/waiting.py`), or move the measurement to `benchmarks/`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
#: Helpers that wait for a condition, with a deadline that is a guard against hanging.
WAITING = ("tests/waiting.py", "tests/peers.py")
GUARD_S = 30
CLOCKS = {
    "time", "monotonic", "perf_counter", "process_time", "thread_time", "time_ns", "monotonic_ns",
    "perf_counter_ns", "process_time_ns", "thread_time_ns", "default_timer", "getrusage", "times",
}  # fmt: skip
CLOCK_MODULES = {"time", "timeit", "resource", "os"}
DATES = {"now", "utcnow", "today"}
#: Functions whose result is a time when an argument is one.
PASSING = {"abs", "min", "max", "sum", "round", "int", "float", "sorted", "list", "mean", "median", "approx"}
DURATION, DATE = "duration", "date"
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Finding(NamedTuple):
    """A place where a test depends on the speed of the machine."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class Module:
    """What one module calls clocks, and which of its functions return a time."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.modules: dict[str, str] = {}
        self.clocks: set[str] = set()
        self.returning: dict[str, str] = {}
        self.found: set[Finding] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    if name.name in CLOCK_MODULES:
                        self.modules[name.asname or name.name] = name.name
            elif isinstance(node, ast.ImportFrom) and node.module in CLOCK_MODULES:
                self.clocks |= {name.asname or name.name for name in node.names if name.name in CLOCKS}
        functions = [node for node in ast.walk(tree) if isinstance(node, SCOPES)]
        for _ in range(3):  # a function may return what another one returns
            for function in functions:
                Scope(self, function).learn()
        for scope in [tree, *functions]:
            Scope(self, scope).check()


class Scope:
    """One function, or the top of a module: its names that hold times, and its assertions."""

    def __init__(self, module: Module, node: ast.AST) -> None:
        self.module = module
        self.node = node
        self.names: dict[str, str] = {}
        body = node.body if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) else []
        self.nodes = [one for statement in body for one in inside(statement)]
        for _ in range(3):
            for one in self.nodes:
                self._assign(one)

    def learn(self) -> None:
        """Note when the function returns a time."""
        for one in self.nodes:
            if isinstance(one, ast.Return) and one.value is not None and (kind := self.kind(one.value)):
                self.module.returning[self.node.name] = kind  # type: ignore[attr-defined]

    def _assign(self, node: ast.AST) -> None:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets, value = [node.target], node.value
        elif isinstance(node, ast.For | ast.comprehension):
            targets, value = [node.target], node.iter
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("append", "add", "extend")
            and node.args
        ):
            targets, value = [node.func.value], node.args[0]
        if value is not None and (kind := self.kind(value)):
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        self.names[name.id] = kind

    def kind(self, node: ast.expr) -> str | None:  # noqa: PLR0911  a table of kinds of nodes
        """Return whether an expression is a duration or reading of a clock, a date, or neither."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Call):
            return self._called(node)
        if isinstance(node, ast.Compare):
            return DURATION if self.timed(node) else None
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return self.kind(node.elt)
        if isinstance(node, ast.BinOp):
            left, right = self.kind(node.left), self.kind(node.right)
            if isinstance(node.op, ast.Sub) and DATE in (left, right) and not self._length(node.right):
                return DURATION
            return left or right
        parts: tuple[type[ast.expr], ...] = (
            ast.UnaryOp, ast.BoolOp, ast.IfExp, ast.Subscript, ast.Tuple, ast.List, ast.Await,
            ast.Starred, ast.NamedExpr,
        )  # fmt: skip
        if isinstance(node, parts):
            found = [self.kind(one) for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
            return next((one for one in found if one), None)
        return None

    @staticmethod
    def _length(node: ast.expr) -> bool:
        """Return whether an expression is a length of time, to be taken from a date."""
        text = ast.unparse(node)
        return "timedelta" in text or text.split(" * ")[-1].isupper()

    def _called(self, node: ast.Call) -> str | None:  # noqa: PLR0911  a table of ways to call a clock
        function = node.func
        if isinstance(function, ast.Name):
            if function.id in self.module.clocks:
                return DURATION
            if function.id in self.module.returning:
                return self.module.returning[function.id]
            name = function.id
        elif isinstance(function, ast.Attribute):
            name, owner = function.attr, function.value
            if isinstance(owner, ast.Name) and owner.id in self.module.modules and name in CLOCKS:
                return DURATION
            text = ast.unparse(owner)
            if name == "time" and not node.args and "loop" in text:
                return DURATION
            if name in ("now", "monotonic") and text.startswith("SystemClock("):
                return DATE if name == "now" else DURATION
            if name in DATES and text.split(".")[-1] in ("datetime", "date"):
                return DATE
            if kind := self.kind(owner):
                return DURATION if name == "total_seconds" else kind
            if name in self.module.returning and text in ("self", "cls"):
                return self.module.returning[name]
        else:
            return None
        if name in PASSING:
            return next((kind for one in node.args if (kind := self.kind(one))), None)
        return None

    def timed(self, node: ast.Compare) -> bool:
        """Return whether a comparison depends on the machine's speed.

        It does with a duration, and with a bound above ("before the start plus 10 s"); that a stamp lies
        between two times that were taken before and after holds on any machine.
        """
        sides = (node.left, *node.comparators)
        if any(self.kind(one) == DURATION for one in sides):
            return True
        upper = [
            sides[place + 1] if isinstance(order, ast.Lt | ast.LtE) else sides[place]
            for place, order in enumerate(node.ops)
            if isinstance(order, ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        ]
        return any(isinstance(one, ast.BinOp) and self.kind(one) == DATE for one in upper)

    def check(self) -> None:
        """Add what is wrong in this scope to the module's findings."""
        expected = {
            id(one)
            for node in self.nodes
            if waits_in_vain(node)
            for one in ast.walk(node)
        }  # fmt: skip
        for node in self.nodes:
            if isinstance(node, ast.Assert) and self._depends(node.test):
                self._add(node, "an assertion compares a time of a clock")
            elif isinstance(node, ast.If) and self._depends(node.test) and any(map(fails, node.body)):
                self._add(node, "a test fails when a time of a clock is too long")
            elif (limit := limit_s(node)) is not None and limit < GUARD_S and id(node) not in expected:
                self._add(node, f"a limit of {limit:g} s: a guard against hanging has {GUARD_S} s or more")

    def _depends(self, test: ast.expr) -> bool:
        compared = (one for one in ast.walk(test) if isinstance(one, ast.Compare))
        return self.kind(test) == DURATION or any(self.timed(one) for one in compared)

    def _add(self, node: ast.AST, what: str) -> None:
        self.module.found.add(Finding(self.module.path, node.lineno, what))  # type: ignore[attr-defined]


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Return a node and all below it, without the bodies of functions within."""
    yield node
    for one in ast.iter_child_nodes(node):
        if not isinstance(one, SCOPES):
            yield from inside(one)
    if isinstance(node, SCOPES):
        return


def fails(node: ast.stmt) -> bool:
    """Return whether a statement fails a test."""
    if isinstance(node, ast.Raise) and node.exc is not None:
        return "AssertionError" in ast.unparse(node.exc)
    return isinstance(node, ast.Expr) and ast.unparse(node.value).startswith("pytest.fail(")


def waits_in_vain(node: ast.AST) -> bool:
    """Return whether a time-out is what the statement expects: it is caught."""
    if isinstance(node, ast.Try):
        return any(one.type is not None and "Timeout" in ast.unparse(one.type) for one in node.handlers)
    if isinstance(node, ast.With | ast.AsyncWith):
        texts = [ast.unparse(one.context_expr) for one in node.items]
        return any("Timeout" in text and ("raises" in text or "suppress" in text) for text in texts)
    return False


def limit_s(node: ast.AST) -> float | None:
    """Return the literal time limit of a call that raises when it is over; None for other nodes."""
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func)
    limit: ast.expr | None = None
    if name == "asyncio.timeout" and node.args:
        limit = node.args[0]
    elif name == "asyncio.wait_for":
        limit = node.args[1] if len(node.args) > 1 else None
    elif name.endswith(("process.wait", "broker.wait", "consumer.wait")) and node.args:
        limit = node.args[0]
    if name in ("asyncio.wait_for", "subprocess.run") or name.endswith((".communicate", "process.wait")):
        limit = next((one.value for one in node.keywords if one.arg == "timeout"), limit)
    return (
        float(limit.value)
        if isinstance(limit, ast.Constant) and isinstance(limit.value, int | float)
        else None
    )


def check(source: str, path: str = "tests/test_x.py") -> list[Finding]:
    """Return the findings of one module, in the order of its lines."""
    return sorted(Module(path, ast.parse(source)).found)


def main() -> int:
    """Print the findings of all modules of tests; return the exit status."""
    found = [
        finding
        for file in sorted((ROOT / "tests").rglob("*.py"))
        if (path := file.relative_to(ROOT).as_posix()) not in WAITING
        for finding in check(file.read_text(encoding="utf-8"), path)
    ]
    for finding in found:
        print(finding)
    print(f"clock_lint: {len(found)} findings", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
