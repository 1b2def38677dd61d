"""Builds the command that installs an optional part of venclient where the user stands.

The package is not on an index, so `pip install "venclient[postgresql]"` finds nothing. In a checkout the
command names its folder; from a wheel it names the requirements of the extra themselves, which an index has.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "venclient"

_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_OWN = re.compile(rf"{DISTRIBUTION}\[([^\]]+)\]")


def install_hint(extra: str) -> str:
    """Return the shell command that installs what `extra` needs into the running Python.

    `extra` is one of the optional dependencies of pyproject.toml, such as "postgresql".
    """
    return f"{pip_install()} {install_arguments(extra)}"


def pip_install() -> str:
    """Return the `pip install` that installs for the running Python, from the current folder."""
    python = shlex.quote(_from_here(Path(sys.executable or "python3")))
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {python}"
    found = shutil.which("pip")
    if found and Path(found).parent.absolute() == Path(sys.executable).parent.absolute():
        return "pip install"
    return f"{python} -m pip install"


def install_arguments(extra: str) -> str:
    """Return what follows `pip install`: the checkout with the extra, or the requirements of the extra."""
    folder = checkout()
    if folder is not None:
        editable = "-e " if _is_editable() else ""
        return editable + shlex.quote(f"{_from_here(folder)}[{extra}]")
    needed = requirements_of(extra) or [f"{DISTRIBUTION}[{extra}]"]
    return " ".join(map(shlex.quote, needed))


def requirements_of(extra: str) -> list[str]:
    """Return the requirements of an extra as the installed package records them; empty when it has none."""
    return _requirements(extra, frozenset())


def checkout() -> Path | None:
    """Return the root of the checkout that this program runs from; None when it runs from a wheel."""
    root = Path(__file__).parent.parent
    try:
        project = (root / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return None
    return root if f'name = "{DISTRIBUTION}"' in project else None


def _requirements(extra: str, seen: frozenset[str]) -> list[str]:
    try:
        recorded = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found: list[str] = []
    for line in recorded:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        if extra not in _EXTRA.findall(marker):
            continue
        own = _OWN.match(requirement)
        if own is None:
            found.append(requirement)
            continue
        for name in own[1].split(","):  # an extra made of other extras
            if name.strip() not in seen | {extra}:
                found += _requirements(name.strip(), seen | {extra})
    return list(dict.fromkeys(found))


def _is_editable() -> bool:
    try:
        recorded = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        return bool(json.loads(recorded or "{}").get("dir_info", {}).get("editable"))
    except (metadata.PackageNotFoundError, ValueError):
        return False


def _from_here(path: Path) -> str:
    """Return a path relative to the current folder where that is short, else as it is.

    A relative folder keeps a leading dot: pip takes a bare name for a package of the index.
    """
    relative = os.path.relpath(path)
    if relative.count("..") > 2:
        return str(path)
    return relative if relative.startswith(".") else f"./{relative}"
