"""Notes what each test of a conformance row came to, where VEN_RECORD names a file to write it into.

A pytest plugin; with xdist it works in the process that gathers. The page is made of these files by
tools/conformance.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


class Recorder:
    """Collects outcomes by test; the worst phase of a test counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of one phase."""
        name = report.nodeid.split("[")[0]
        before = self._outcomes.get(name, "passed")
        if report.failed or before == "failed":
            self._outcomes[name] = "failed"
        elif report.skipped or before == "skipped":
            self._outcomes[name] = "skipped"
        elif report.when == "call":
            self._outcomes[name] = "passed"

    def pytest_sessionfinish(self) -> None:
        """Write what was gathered."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._outcomes, indent=0, sort_keys=True) + "\n")


def install(config: pytest.Config) -> None:
    """Record into the file that VEN_RECORD names; do nothing without it, or in a worker of xdist."""
    named = os.environ.get("VEN_RECORD")
    if named and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(named)), "venclient-recorder")
