"""Makes docs/conformance.md from what the tests came to; `--check` fails when the page says something else.

`make test` and `make interop` leave their outcomes in .conformance/ (VEN_RECORD). A row is proved by the
tests whose names carry its number: by code alone (unit), against the local VTN and other peers over real
sockets (peer), and against VTNs that others wrote: OpenLEADR's and the one of the crate openadr. A clause is
proved by the tests that it names.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools import openadr_crate, openleadr

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "conformance.md"
RECORDS = ROOT / ".conformance"
DATA = ROOT / "tests" / "conformance"
#: The VTNs that others wrote, by the key that marks a row which can be proved there.
VTNS = {"openleadr": openleadr.VTN, "openadr": openadr_crate.VTN}
PLACES = {
    "unit": "by code alone",
    "peer": "over real sockets",
    "openleadr": "against OpenLEADR",
    "openadr": "against the crate openadr",
}

_ROW = re.compile(r"::test_row_(\d\d)_")


class Proof(NamedTuple):
    """How many tests of a row (or clause) passed in one place, and how many did not."""

    passed: int
    failed: int

    def __str__(self) -> str:
        if not self.passed and not self.failed:
            return "-"
        return f"{self.passed} passed" + (f", {self.failed} FAILED" if self.failed else "")


def rows() -> Mapping[int, Mapping[str, Any]]:
    """Return the rows by number."""
    table = tomllib.loads((DATA / "rows.toml").read_text(encoding="utf-8"))["rows"]
    return {int(number): row for number, row in table.items()}


def clauses() -> list[dict[str, Any]]:
    """Return the clauses of the Definition."""
    found: list[dict[str, Any]] = tomllib.loads((DATA / "clauses.toml").read_text(encoding="utf-8"))["clause"]
    return found


def records() -> dict[str, dict[str, str]]:
    """Return the outcomes by place and test; places that did not run are missing."""
    return {
        place: json.loads((RECORDS / f"{place}.json").read_text(encoding="utf-8"))
        for place in PLACES
        if (RECORDS / f"{place}.json").is_file()
    }


def known_tests() -> set[str]:
    """Return the name of every test function of the suite, as pytest calls it."""
    found = set()
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        where = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(f"{where}::{node.name}")
    return found


def vtns_of_tests() -> dict[str, tuple[str, ...]]:
    """Return the kinds of VTN that each test of tests/interop runs against: all, or those it names."""
    found = {}
    for file in sorted((ROOT / "tests" / "interop").glob("test_*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        whole = [node.value for node in body if isinstance(node, ast.Assign)]
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                marks = [mark for mark in (*whole, *node.decorator_list) if isinstance(mark, ast.Call)]
                only = [mark for mark in marks if ast.unparse(mark.func) == "pytest.mark.only"]
                kinds = [ast.literal_eval(word) for mark in only for word in mark.args]
                found[f"{file.relative_to(ROOT).as_posix()}::{node.name}"] = tuple(kinds or VTNS)
    return found


def tests_of(number: int, tests: Mapping[str, str] | set[str]) -> list[str]:
    """Return the tests that carry a row's number."""
    return [name for name in tests if (found := _ROW.search(name)) and int(found[1]) == number]


def proof(names: list[str], outcomes: Mapping[str, str]) -> Proof:
    """Count what some tests came to; one that was skipped proves nothing."""
    results = [outcomes[name] for name in names if name in outcomes]
    return Proof(results.count("passed"), results.count("failed"))


def resolved(clause: Mapping[str, Any], tests: set[str]) -> tuple[list[str], list[str]]:
    """Return the tests that a clause names, and what it names that does not exist."""
    found, missing = [], []
    for name in clause.get("tests", ()):
        named = tests_of(int(name.removeprefix("row ")), tests) if name.startswith("row ") else [name]
        found += [one for one in named if one in tests]
        missing += [one for one in named if one not in tests] or ([] if named else [name])
    return found, missing


def gaps() -> list[str]:
    """Return what is neither proved by a test that exists nor explained."""
    tests = known_tests()
    about = vtns_of_tests()
    said = []
    for number, row in rows().items():
        if not row.get("later") and not tests_of(number, tests):
            said.append(f"row {number}: no test carries its number")
        if row.get("later") and tests_of(number, tests):
            said.append(f"row {number}: waits for {row['later']}, and yet a test carries its number")
        said += [
            f"row {number}: no test {PLACES[kind]} carries its number"
            for kind in VTNS
            if row.get(kind) and not any(kind in about.get(one, ()) for one in tests_of(number, tests))
        ]
    for clause in clauses():
        found, missing = resolved(clause, tests)
        said += [f"clause {clause['line']}: there is no test {name}" for name in missing]
        if not found and not clause.get("why"):
            said.append(f"clause {clause['line']}: neither a test nor a reason")
    for name in tests:
        if (at := _ROW.search(name)) and int(at[1]) not in rows():
            said.append(f"{name}: there is no row {at[1]}")
    return said


def page(found: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page."""
    return "\n".join([*_head(found), *_table_of_rows(found), *_table_of_clauses(found)]) + "\n"


def _proofs(number: int, found: Mapping[str, Mapping[str, str]]) -> dict[str, Proof]:
    return {
        place: proof(tests_of(number, set(found.get(place, {}))), found.get(place, {})) for place in PLACES
    }


def _head(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    all_rows = rows()
    proofs_of = {number: _proofs(number, found) for number in all_rows}
    proved = [
        number
        for number, proofs in proofs_of.items()
        if any(one.passed for one in proofs.values()) and not any(one.failed for one in proofs.values())
    ]
    yield "# Conformance to OpenADR 3"
    yield ""
    yield "Made from a run of the tests by `tools/conformance.py`; CI fails when it says something else."
    yield ""
    yield f"- {len(proved)} of {len(all_rows)} rows pass, by code alone or against the local VTN with faults."
    for kind, vtn in VTNS.items():
        against = [number for number in proved if proofs_of[number][kind].passed]
        marked = [number for number, row in all_rows.items() if row.get(kind)]
        yield (
            f"- {len(against)} of the {len(marked)} rows that can be proved there pass against {vtn.name} "
            f"{vtn.version}, a VTN that others wrote."
        )
    yield "- Rows of dispatch (how events become setpoints) are not built yet."
    yield ""
    yield "There is no public certification test: this is what we built to, and not a certificate."
    yield ""


def _table_of_rows(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield "## What a VEN can be asked to do"
    yield ""
    yield f"| row | capability | of | {' | '.join(PLACES.values())} | |"
    yield f"|{'---|' * (4 + len(PLACES))}"
    for number, row in rows().items():
        outcomes = _proofs(number, found)
        if any(one.failed for one in outcomes.values()):
            verdict = "**failed**"
        elif any(one.passed for one in outcomes.values()):
            verdict = "passed"
        else:
            verdict = f"with {row['later']}" if row.get("later") else "**not proved**"
        cells = " | ".join(str(outcomes[place]) for place in PLACES)
        yield f"| {number} | {row['capability']} | {row['spec']} | {cells} | {verdict} |"
    yield ""


def _table_of_clauses(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    outcomes = {name: result for results in found.values() for name, result in results.items()}
    tests = known_tests()
    yield "## What the Definition demands"
    yield ""
    yield "Each MUST, MUST NOT, SHALL and SHALL NOT of the Definition of OpenADR 3.1, in our own words."
    yield ""
    yield "| section | what it says | proved by, or why it does not apply | |"
    yield "|---|---|---|---|"
    for clause in clauses():
        names, _ = resolved(clause, tests)
        proved = proof(names, outcomes)
        shown = ", ".join(name.split("::")[-1] if "::" in name else name for name in clause.get("tests", ()))
        by = " ".join(part for part in (clause.get("why", ""), f"Tests: {shown}." if shown else "") if part)
        verdict = "**failed**" if proved.failed else "passed" if proved.passed else "-"
        yield f"| {clause['section']} | {clause['says']} | {by} | {verdict} |"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it; give the exit status."""
    wrong = gaps()
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if wrong:
        return 1
    if arguments == ["--gaps"]:
        return 0
    found = records()
    absent = [place for place in PLACES if place not in found]
    if absent:
        print(
            f"no outcomes of {', '.join(absent)}: run `make test` and `make interop` first", file=sys.stderr
        )
        return 1
    text = page(found)
    if arguments == ["--check"]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
            print(
                "docs/conformance.md is not what the tests came to: run `make conformance`", file=sys.stderr
            )
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
