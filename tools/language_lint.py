"""Find wording that CONTRIBUTING.md rules out, in code, docs, settings and tests.

python tools/language_lint.py            exit with status 1 when a file has more of it than its baseline
python tools/language_lint.py --list     print every finding
python tools/language_lint.py --write    lower the baseline to what there is
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ratchet import ROOT, Finding, main

BASELINE = ROOT / "tools" / "language_baseline.json"
ENDINGS = {".py", ".md", ".toml", ".sh", ".yaml", ".yml", ".txt"}
NAMES = {"Makefile", "run"}
#: Files that quote the wording, record what was, or are generated.
EXEMPT = {"tools/language_lint.py", "tests/core/test_lints.py", "CHANGELOG.md", "docs/reference/messages.md"}

#: Wording -> what to write in its place.
RULES = {
    r'"""Gives?\b': 'start with an imperative: "Return ..."',
    r"\b(told|tells?|telling)\b": "reported, shows, prints, says which",
    r"\b(?:is|are|was) no (?!longer|more\b)[a-z]": '"unknown X", "invalid X", "not a X"',
    r"\bwhoever\b": "the caller, the user, the program that",
    r"\bof no account\b": "ignored",
    r"\bfor want of\b": "because X is missing",
    r"\bso that\b": "to ..., or a new sentence",
    r"\bas many as\b": "up to",
    r"\bof its own\b": "its own, separate",
    r"\b(?:so many|so much|that many)\b": "a number, or the limit by name",
    r"\bis so\b(?! that)": "is true",
    r"\bset aside\b": "quarantined",
    r"\bwent dark\b|\bgoes dark\b": "unreachable",
    r"\bowed\b|\bowes?\b": "pending, due",
    r"\bat will\b": "unscheduled",
    r"\bbroken off\b": "interrupted",
    r"\bthere (?:is|are) no such\b": "unknown",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\banew\b": "again",
    r"\bgive(?:s)? way\b": "are dropped",
    r"\bsomebody\b|\banybody\b|\bnobody\b": "name the user, program or VTN",
    r"\bby mistake\b": "accidentally",
    r"\bas it were\b|\bat hand\b": "leave it out",
    r"\bwherefore\b|\bthereof\b|\bthereby\b|\bhence\b": "plain words",
}
_PATTERNS = [(re.compile(pattern), advice) for pattern, advice in RULES.items()]


def in_text(text: str) -> list[tuple[int, str]]:
    """Return (line, what to write instead) for each wording that is ruled out."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, advice in _PATTERNS:
            found += [(number, f"{match.group().strip()!r}: {advice}") for match in pattern.finditer(line)]
    return found


def findings(root: Path = ROOT) -> list[Finding]:
    """Return the findings of every file that git tracks."""
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    found = []
    for name in sorted(listed.splitlines()):
        path = root / name
        if name in EXEMPT or name.startswith("requirements/") or not path.is_file():
            continue
        if path.suffix in ENDINGS or path.name in NAMES:
            found += [Finding(name, line, what) for line, what in in_text(path.read_text(encoding="utf-8"))]
    return found


if __name__ == "__main__":
    sys.exit(main(findings(), BASELINE, sys.argv[1:]))
