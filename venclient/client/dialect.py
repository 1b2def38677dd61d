"""Which version of OpenADR a VTN speaks: its codec, its paths, and how it is found out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from venclient.openadr.codec import CODEC_31, Codec
from venclient.openadr.codec_301 import CODEC_301, TARGET_TYPE
from venclient.openadr.enumerations import PROGRAM_ATTRIBUTES_OF_3_0

PROBE: Final = "probe"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of OpenADR as a VTN speaks it.

    `nested_resources`: resources stand below their VEN, and their PUT replaces what the operator wrote.
    `report_names_program`: reports name the program of their event. `grants_targets`: the VTN shows
    an object with targets only to whom it is meant for. `percent_of_full` is what a whole is in PERCENT.
    """

    version: str
    codec: Codec
    nested_resources: bool
    report_names_program: bool
    grants_targets: bool
    percent_of_full: float

    def resources_at(self, ven_id: str | None) -> tuple[str, ...]:
        """Return the path, in segments, of the resources of a VEN."""
        return ("vens", ven_id or "", "resources") if self.nested_resources else ("resources",)

    def target_query(self, targets: Sequence[str]) -> list[tuple[str, str]]:
        """Return the query that asks for what is meant for these targets."""
        if not targets:
            return []
        if self.grants_targets:
            return [("targets", target) for target in targets]
        return [("targetType", TARGET_TYPE), *(("targetValues", target) for target in targets)]


V3_1: Final = Dialect("3.1", CODEC_31, False, False, True, 1.0)
V3_0_1: Final = Dialect("3.0.1", CODEC_301, True, True, False, 100.0)

#: What may be set; "probe" finds it out.
VERSIONS: Final = {V3_1.version: V3_1, V3_0_1.version: V3_0_1}

_SEGMENT = re.compile(r"v?3\.(\d+)(?:\.\d+)?", re.ASCII)


def told_by_path(url: str) -> Dialect | None:
    """Return the version that an address names (".../openadr3/3.1.0"); None when it names none."""
    for segment in reversed(urlsplit(url).path.split("/")):
        found = _SEGMENT.fullmatch(segment)
        if found is not None:
            return V3_0_1 if int(found[1]) == 0 else V3_1
    return None


def told_by_shape(body: bytes) -> Dialect | None:
    """Return the version whose shapes a listing of programs or events has; None when it could be either."""
    try:
        listed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict):
            continue
        targets = one.get("targets")
        first = targets[0] if isinstance(targets, list) and targets else None
        if isinstance(first, dict) or (
            "programName" in one and any(one.get(name) is not None for name in PROGRAM_ATTRIBUTES_OF_3_0)
        ):
            return V3_0_1
        if isinstance(first, str) or isinstance(one.get("attributes"), list) or one.get("duration"):
            return V3_1
    return None
