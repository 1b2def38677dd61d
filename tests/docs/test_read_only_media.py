"""The commands of the how-to about read-only media work where nothing can be written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import snippet
from tests.read_only import by_mode, make_site


@pytest.mark.peer
def test_commands_of_the_page_save_everything_from_a_read_only_medium(root: Path, tmp_path: Path) -> None:
    """The site is looked at, and registry, key, readings and coverage are saved to another place."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    site.mkdir()
    elsewhere.mkdir()
    make_site(site, tmp_path / "live")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "VEN_TEST_SECRET": "secret", "ELSEWHERE": str(elsewhere)}

    done = by_mode(site, ["bash", "-euc", snippet(root, "run: save from read-only")], environment)

    assert done.returncode == 0, done.stdout + done.stderr
    (backup,) = elsewhere.glob("resources.db.backup-*")
    assert backup.stat().st_size > 0
    assert ",7.25," in (elsewhere / "readings.csv").read_text()
    assert (elsewhere / "reports.csv").read_text().startswith("vtn,day,")
    assert "in-the-log" in done.stdout


def test_codes_of_the_page_are_in_the_catalogue(root: Path) -> None:
    """Every code that the page explains exists."""
    import re

    from venclient.messages.catalogue import by_code

    page = (root / "docs" / "how-to" / "read-only-media.md").read_text(encoding="utf-8")
    codes = set(re.findall(r"VEN-[A-Z]{3}-\d{3}", page))
    assert codes
    assert codes <= by_code().keys()
