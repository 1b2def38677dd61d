"""Notes what each test of a conformance row came to, where VEN_RECORD names a file to write it into.

A pytest plugin; with xdist it works in the process that gathers. The page is made of these files by
tools/conformance.py. Tests that run against several kinds of VTN (`test_x[openadr]`) are written into a file
for each kind, in place of `{vtn}` in the name; tests without a kind into each of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

#: Stands for the kind of VTN in the name of the file.
PLACE = "{vtn}"
#: The kinds of VTN of tests/interop.
KINDS = ("openleadr", "openadr")


class Recorder:
    """Collects outcomes by test; the worst phase of a test counts."""

    def __init__(self, file: Path, kinds: Sequence[str] = ()) -> None:
        self._files = {kind: Path(str(file).replace(PLACE, kind)) for kind in kinds or ("",)}
        self._outcomes: dict[str, dict[str, str]] = {kind: {} for kind in self._files}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of one phase."""
        name, _, values = report.nodeid.partition("[")
        about = set(re.split(r"[-\]]", values)) & self._outcomes.keys()
        for outcomes in (self._outcomes[kind] for kind in about or self._outcomes):
            before = outcomes.get(name, "passed")
            if report.failed or before == "failed":
                outcomes[name] = "failed"
            elif report.skipped or before == "skipped":
                outcomes[name] = "skipped"
            elif report.when == "call":
                outcomes[name] = "passed"

    def pytest_sessionfinish(self) -> None:
        """Write what was gathered."""
        for kind, file in self._files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(self._outcomes[kind], indent=0, sort_keys=True) + "\n")


def install(config: pytest.Config) -> None:
    """Record into the file that VEN_RECORD names; do nothing without it, or in a worker of xdist."""
    named = os.environ.get("VEN_RECORD")
    if named and not hasattr(config, "workerinput"):
        kinds = KINDS if PLACE in named else ()
        config.pluginmanager.register(Recorder(Path(named), kinds), "venclient-recorder")
