"""Which tests may be skipped, and where: a pytest plugin fails the session for any other skip.

With VEN_TEST_ALL=1, as CI sets it, only the reasons of ALWAYS are allowed; elsewhere also those of ELSEWHERE.
"""

from __future__ import annotations

import os
import re

import pytest

#: Data that cannot be redistributed with the project: absent from a clean clone, also in CI.
ALWAYS = {
    r"the folder \.\./shared with real-world data is not here": "data sets with licences of their own",
    r"the official openadr3\.yaml is not in \.\./shared": "published by the OpenADR Alliance",
    r"InfluxDB .* cannot be built here \(.*": "a machine without Go and Rust, which Debian has too old",
    r"the specification is not in \.\./shared": "the document the project was commissioned from",
}

#: What a developer's machine may lack.
ELSEWHERE = {
    r".* is not installed( \(.*)?": "a program that tools/peers.sh may not install without root",
    r"the VTN of the crate openadr .* cannot be built here \(.*": "a machine without a Rust new enough",
    r"(mosquitto_passwd|openssl) does not work \(.*": "a program of another version or build",
    r"no package index can be reached.*": "a machine without a network",
    r"(a|a small) (disk|file system) cannot be mounted here.*": "a container that may not mount",
    r"mount namespaces are not allowed here": "a container that may not use unshare",
    r"mounting a small file system takes root": "only root may mount",
    r"this system does not let us make a network .*": "a container without network namespaces",
    r"only root may make network namespaces": "only root may make them",
    r".+ cannot be opened \(.*": "a container without /dev/net/tun",
    r"PostgreSQL has no German messages.*": "a PostgreSQL that was installed without translations",
    r"root needs runuser to start PostgreSQL.*": "a system without util-linux",
    r"could not import '(psycopg|pyarrow\.parquet)'.*": "an optional extra, left out of a small installation",
    r".* belongs to a checkout, and this is none": "the tests of the contract run against an installed wheel",
}


def may_skip(reason: str, *, everything: bool) -> bool:
    """Return whether a skip with this reason is allowed; `everything` is true where VEN_TEST_ALL=1 is set."""
    text = re.sub(r"^Skipped: ", "", reason.strip())
    patterns = [*ALWAYS] if everything else [*ALWAYS, *ELSEWHERE]
    return any(re.fullmatch(pattern, text, re.DOTALL) for pattern in patterns)


class Skips:
    """Collects the skips of a session that are not allowed, and fails it for them."""

    def __init__(self) -> None:
        self.everything = os.environ.get("VEN_TEST_ALL") == "1"
        self.unlisted: dict[str, str] = {}

    def _look_at(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not may_skip(reason, everything=self.everything):
            self.unlisted[report.nodeid] = reason

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at the outcome of a test."""
        self._look_at(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Look at a module that skips itself."""
        self._look_at(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the session for a skip that is not listed."""
        if self.unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the skips that are not listed."""
        for test, reason in self.unlisted.items():
            terminalreporter.write_line(f"skip not allowed by tests/skips.py: {test}: {reason}", red=True)


def install(config: pytest.Config) -> None:
    """Watch the session's skips; with xdist, in the process that gathers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(), "venclient-skips")
