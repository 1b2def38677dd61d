"""What becomes of changed settings while the gateway runs: applied at once, or named for a restart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from venclient.settings import OF_VTN, Settings

#: What a running gateway takes up: all else is fixed when it is built.
AT_ONCE = ("vtn.", "reporting.", "log.", "ven.resources")


@dataclass(frozen=True)
class Reload:
    """Settings to go on with, and the keys that changed: those `applied`, and those that need a restart.

    Keys of a further VTN are given as they are written, "vtns.NAME.url".
    """

    settings: Settings
    applied: tuple[str, ...]
    restart: tuple[str, ...]


def reloaded(running: Settings, read: Settings) -> Reload:
    """Return what a gateway with the settings `running` makes of those that were `read` again.

    What needs a restart stays as it runs.
    """
    changed = [key for key in read.values if read[key] != running[key]]
    applied = [key for key in changed if key.startswith(AT_ONCE)]
    restart = [key for key in changed if key not in applied]
    kept = {key: running[key] for key in restart}
    names = {key: name for name, key in OF_VTN.items()}
    others: dict[str, Settings] = {}
    for name, own in read.others.items():
        # What all VTNs share stays as well; its own name does not.
        fixed = {key: value for key, value in kept.items() if own[key] == read[key]}
        others[name] = other = replace(own, values={**own.values, **fixed})
        before = running.others.get(name)
        for key in other.values:
            if key.startswith(AT_ONCE) or key in names:
                if before is None or other[key] == before[key] or (key in applied and own[key] == read[key]):
                    continue
                applied.append(f"vtns.{name}.{names.get(key) or key.removeprefix('vtn.')}")
    applied += [f"vtns.{name}" for name in sorted(read.others.keys() ^ running.others.keys())]
    settings = replace(read, values={**read.values, **kept}, others=others)
    return Reload(settings, tuple(applied), tuple(restart))


def plain(reload: Reload) -> dict[str, Any]:
    """Return a reload, as plain data."""
    return {"applied": list(reload.applied), "restart": list(reload.restart)}
