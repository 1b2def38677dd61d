"""Pages and examples say what is true now."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from venclient.settings import SETTINGS, load_settings


def test_generated_pages_are_current(root: Path) -> None:
    """Settings, commands and schema pages are what the program would write today."""
    done = subprocess.run(
        [sys.executable, "tools/reference.py", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_example_settings_load_and_name_every_setting(root: Path) -> None:
    """config/ven.toml is right as it stands, and shows each setting, in force or as a comment."""
    file = root / "config" / "ven.toml"
    load_settings(file, environment={})

    in_force = re.sub(r"(?m)^# (?=[a-z_0-9]+ = )", "", file.read_text(encoding="utf-8"))
    shown = {f"{table}.{key}" for table, keys in tomllib.loads(in_force).items() for key in keys}

    assert shown == {setting.key for setting in SETTINGS}


def test_every_command_is_in_the_reference_with_help(root: Path) -> None:
    """No command is without its sentence."""
    page = (root / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")

    assert not re.search(r"(?m)^## ven .*\n\n```\nUsage:[^\n]*\n\nOptions", page)


def _markdown(root: Path) -> list[Path]:
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md")]


def test_links_between_pages_lead_somewhere(root: Path) -> None:
    """Each relative link in the documentation names a file that exists."""
    broken = [
        f"{page.relative_to(root)}: {target}"
        for page in _markdown(root)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


@pytest.mark.parametrize("word", ["TODO", "FIXME"])
def test_nothing_is_left_unfinished_in_words(root: Path, word: str) -> None:
    """No page promises work that was left out."""
    assert [str(page) for page in _markdown(root) if word in page.read_text(encoding="utf-8")] == []


def test_version_and_changelog_agree(root: Path) -> None:
    """The package's version has its section, or is the one being prepared."""
    from venclient import __version__

    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## {__version__}" in text or "## Unreleased" in text
