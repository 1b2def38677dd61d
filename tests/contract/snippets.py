"""The specification's snippets, taken from its text when the tests run."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)

#: What identifies each snippet, by the name that the tests use.
MARKS = {
    "connections": "CREATE TABLE connections",
    "resources": "CREATE TABLE resources",
    "prepare": "python prepare_samples.py",
    "queries": "db.get_all_resources()",
    "demo": "python demo_db_usage.py",
    "wal": "journal_mode=WAL",
    "cache": "cache_size=-8000",
    "copy": "cp config/resources.db",
    "influx": "InfluxDBClient(",
    "integrity": "PRAGMA integrity_check",
    "contents": ".tables",
    "reset": "db.clear_all_resources()",
}


class Snippet(NamedTuple):
    """A fenced block: its language ("" when it has none) and its text, not indented."""

    language: str
    text: str


def specification(shared: Path) -> str:
    """Return the specification's text, or skip."""
    path = shared / "specification.md"
    if not path.is_file():
        pytest.skip("the specification is not in ../shared")
    return path.read_text(encoding="utf-8")


def snippets(shared: Path) -> list[Snippet]:
    """Return every fenced block."""
    found = _FENCED.findall(specification(shared))
    return [Snippet(language, dedent(text)) for language, text in found]


def snippet(shared: Path, name: str) -> str:
    """Return the text of the one snippet that a name of MARKS stands for."""
    (found,) = [one.text for one in snippets(shared) if one.language and MARKS[name] in one.text]
    return found
