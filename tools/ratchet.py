"""Counts of findings per file that may only fall: shared by the lints of messages and of language.

A baseline is a JSON file {path: count}. `check` fails for a file with more findings than its baseline, prints
them, and asks for a tighter baseline where a file has fewer; `write` lowers counts, never raises one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Finding(NamedTuple):
    """One place that breaks a rule: file, line and what is wrong there."""

    path: str
    line: int
    what: str


def main(findings: list[Finding], baseline: Path, arguments: list[str]) -> int:
    """Check findings against a baseline, or with --write lower it; return the exit status."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.path] = counts.get(finding.path, 0) + 1
    allowed: dict[str, int] = json.loads(baseline.read_text()) if baseline.exists() else {}
    if "--write" in arguments or "--start" in arguments:
        lower = (
            counts
            if "--start" in arguments
            else {path: min(count, allowed.get(path, 0)) for path, count in counts.items()}
        )
        kept = {path: count for path, count in sorted(lower.items()) if count}
        baseline.write_text(json.dumps(kept, indent=0) + "\n")
    if "--start" in arguments:
        return 0
    if "--list" in arguments:
        for finding in findings:
            print(f"{finding.path}:{finding.line}: {finding.what}")
        return 0
    status = 0
    for path, count in sorted(counts.items()):
        limit = allowed.get(path, 0)
        if count > limit:
            status = 1
            print(f"{path}: {count} findings, at most {limit} are allowed:")
            for finding in findings:
                if finding.path == path:
                    print(f"  {path}:{finding.line}: {finding.what}")
    loose = {p: n for p, n in allowed.items() if counts.get(p, 0) < n}
    if loose and "--write" not in arguments:
        status = 1
        print(f"{baseline.name} allows more than there is in {', '.join(sorted(loose))}: run `make fix`")
    print(f"{baseline.stem}: {sum(counts.values())} findings in {len(counts)} files", file=sys.stderr)
    return status
