"""The fenced blocks of the pages, with the mark that stands above each: `<!-- run: name -->` and the like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FENCED = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


class Snippet(NamedTuple):
    """A block: where it stands, its mark ("" when it has none), its language and its text."""

    page: str
    mark: str
    language: str
    text: str


def pages(root: Path) -> list[Path]:
    """Return the pages whose blocks are tried: README and the how-tos."""
    return [root / "README.md", *sorted((root / "docs" / "how-to").glob("*.md"))]


def snippets(root: Path) -> list[Snippet]:
    """Return every fenced block of those pages."""
    return [
        Snippet(page.name, found["mark"] or "", found["language"], found["text"])
        for page in pages(root)
        for found in _FENCED.finditer(page.read_text(encoding="utf-8"))
    ]


def snippet(root: Path, mark: str) -> str:
    """Return the text of the one block with a mark."""
    (found,) = [one.text for one in snippets(root) if one.mark == mark]
    return found
