"""Gathers messages that differ only in the resource that they are about: 400 meters give one line."""

from __future__ import annotations

from collections.abc import Iterable

from venclient.messages import Text
from venclient.messages import reporting as rep

#: So many resources are named in one message.
NAMED = 5
_OWN = ("name", "count")


def gathered(sentences: Iterable[str]) -> list[str]:
    """Return `sentences` with those of one message about more than `NAMED` resources made into one.

    It names the first of them and says how many more there are; its count is the highest of theirs.
    """
    groups: dict[object, list[Text]] = {}
    found: list[str | list[Text]] = []
    for sentence in sentences:
        if not isinstance(sentence, Text) or "name" not in sentence.params:
            found.append(sentence)
            continue
        others = sorted((name, str(value)) for name, value in sentence.params.items() if name not in _OWN)
        key = (sentence.code, *others)
        if key not in groups:
            groups[key] = []
            found.append(groups[key])
        groups[key].append(sentence)
    lines: list[str] = []
    for one in found:
        if isinstance(one, str):
            lines.append(one)
        else:
            lines.extend(one if len(one) <= NAMED else [_together(one)])
    return lines


def _together(group: list[Text]) -> Text:
    names = [str(one.params["name"]) for one in group]
    params = {**group[0].params, "name": rep.AND_MORE(names=names[:NAMED], count=len(names) - NAMED)}
    if "count" in params:
        params["count"] = max(one.params["count"] for one in group)
    return group[0].message(**params)
