"""Run the full counts that are too long for each change, and write what they came to into docs/proofs.md.

    python tools/proof.py                 run what this commit has not proved yet
    python tools/proof.py --list          list the proofs, and what is known of each
    python tools/proof.py --only NAME     run one proof, or all whose name starts with NAME

A proof that passed is not run again for the same commit: an interrupted run goes on where it was. The state
is kept in .proof/ (one JSON file, and the output of each proof). The exit status is 1 when a proof failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".proof"
PAGE = ROOT / "docs" / "proofs.md"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "timeout=36000")
BUSY_LOOPS = 3
#: A busy loop ends by itself after this time, whatever becomes of this program.
BUSY_AT_MOST_S = 4 * 3600

KILLS = (
    "tests/core/test_damaged_start.py",
    "tests/readings/test_kill.py",
    "tests/readings/test_kill_upkeep.py",
    "tests/connectors/test_file_drop_kill.py",
    "tests/connectors/test_mqtt_journey.py",
    "tests/connectors/test_mqtt_bare.py",
)
UNIT = "not peer and not interop"
PEER = "peer and not interop"


class Proof(NamedTuple):
    """One run of pytest with full counts."""

    name: str
    what: str
    arguments: tuple[str, ...]
    full: bool = True
    busy: bool = False


def proofs() -> list[Proof]:
    """Return all proofs: properties by file, kills by file, and the whole suite twice on a busy machine."""
    found = []
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        if path.startswith("tests/interop/") or "@given" not in file.read_text(encoding="utf-8"):
            continue
        name = f"properties/{path.removeprefix('tests/').removesuffix('.py')}"
        found.append(Proof(name, "50 times the examples", (path, "-m", "hypothesis")))
    found += [Proof(f"kills/{Path(path).stem}", "10 times the kills", (path,)) for path in KILLS]
    for turn in (1, 2):
        for part, marks in (("unit", UNIT), ("peer", PEER)):
            what = f"beside {BUSY_LOOPS} busy loops, turn {turn}"
            arguments = ("-m", marks, "-n", "auto")
            found.append(Proof(f"busy-{turn}/{part}", what, arguments, full=False, busy=True))
    return found


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep `count` loops running beside the block."""
    # The loop is the process itself: nothing else is left over when it is killed. It ends with this one, too.
    code = (
        f"import os, time\nend = time.monotonic() + {BUSY_AT_MOST_S}\n"
        f"while time.monotonic() < end and os.getppid() == {os.getpid()}: pass"
    )
    loop = [sys.executable, "-c", code]
    running = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
        for one in running:
            one.wait()


def commit() -> str:
    """Return the short id of the commit, with "+" where files differ from it."""
    git = ("git", "-C", str(ROOT))
    short = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", ":!docs/proofs.md"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return short.stdout.strip() + ("+" if changed.stdout.strip() else "")


def run(proof: Proof, at: str) -> dict[str, Any]:
    """Run one proof; return what it came to: commit, date, duration in seconds, outcome and summary."""
    output = FOLDER / f"{proof.name.replace('/', '--')}.txt"
    environment = {**os.environ, "VEN_PROOF": "1" if proof.full else "0"}
    began = datetime.now(UTC)
    with busy_loops(BUSY_LOOPS if proof.busy else 0), output.open("wb") as file:
        done = subprocess.run(
            [*PYTEST, *proof.arguments], cwd=ROOT, env=environment, stdout=file, stderr=file, check=False
        )
    return {
        "commit": at,
        "date": began.strftime("%Y-%m-%d"),
        "took_s": round((datetime.now(UTC) - began).total_seconds()),
        "outcome": "passed" if done.returncode == 0 else "FAILED",
        "summary": summary(output.read_text(encoding="utf-8", errors="replace")),
    }


def summary(output: str) -> str:
    """Return the counts of the last line of pytest, without the time."""
    lines = [line for line in output.splitlines() if re.search(r"\d+ (passed|failed|error|deselected)", line)]
    return re.sub(r"\s+in [\d.]+s.*|=", "", lines[-1]).strip() if lines else "no summary"


def page(state: Mapping[str, Mapping[str, Any]]) -> str:
    """Return docs/proofs.md for what is known."""
    known = [(proof, state[proof.name]) for proof in proofs() if proof.name in state]
    rows = [
        f"| {proof.name} | {proof.what} | {one['outcome']} | {one['summary']} | {one['took_s']} s "
        f"| `{one['commit']}` | {one['date']} |"
        for proof, one in known
    ]
    open_ = [proof.name for proof in proofs() if proof.name not in state]
    missing = f"\nNot run yet: {len(open_)} of {len(proofs())} proofs.\n" if open_ else ""
    return (
        "# Proofs\n\n"
        "`make proof` runs what takes too long for each change: every property with 50 times its\n"
        "examples, tests that kill a process with 10 times the kills, and the whole suite twice beside\n"
        "three busy loops. It can be interrupted: what passed for a commit is not run again. It writes this\n"
        "page, a row for each proof, with the last commit it ran for (`+`: with changes not committed).\n\n"
        "| proof | count | outcome | tests | time | commit | date |\n|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n{missing}"
    )


def load() -> dict[str, dict[str, Any]]:
    """Return the state: by name of a proof, what its last run came to."""
    file = FOLDER / "state.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def save(state: Mapping[str, Mapping[str, Any]]) -> None:
    """Store the state, whole or not at all, and write the page."""
    FOLDER.mkdir(exist_ok=True)
    unfinished = FOLDER / "state.json.new"
    unfinished.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(FOLDER / "state.json")
    PAGE.write_text(page(state), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run the proofs that are asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="list the proofs, and what is known of each")
    parser.add_argument("--only", default="", metavar="NAME", help="run the proofs whose names start so")
    given = parser.parse_args(arguments)
    chosen = [proof for proof in proofs() if proof.name.startswith(given.only)]
    state, at, failed = load(), commit(), []
    if given.list:
        for proof in chosen:
            one = state.get(proof.name)
            print(proof.name, "--", f"{one['outcome']} {one['commit']} {one['date']}" if one else "not run")
        return 0
    FOLDER.mkdir(exist_ok=True)
    for number, proof in enumerate(chosen, 1):
        before = state.get(proof.name, {})
        if before.get("commit") == at and before.get("outcome") == "passed" and not at.endswith("+"):
            continue
        print(f"[{number}/{len(chosen)}] {proof.name}: {proof.what} ...", end=" ", flush=True)
        state[proof.name] = one = run(proof, at)
        save(state)
        print(f"{one['outcome']}: {one['summary']} ({one['took_s']} s)", flush=True)
        if one["outcome"] != "passed":
            failed.append(proof.name)
    for name in failed:
        print(f"failed: {name}: see .proof/{name.replace('/', '--')}.txt")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
