"""Merge messages that differ only in resource and payload: 400 meters result in one line."""

from __future__ import annotations

from collections.abc import Iterable

from venclient.messages import Text
from venclient.messages import reporting as rep

#: The most resources that one message names.
NAMED = 5
_OWN = ("name", "count", "payload")


def gathered(sentences: Iterable[str]) -> list[str]:
    """Return `sentences` with those of one message about several resources or payloads made into one.

    It names the first resources and says how many more there are; its count is the highest of theirs.
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
            lines.append(one[0] if len(one) == 1 else _together(one))
    return lines


def _together(group: list[Text]) -> Text:
    names = list(dict.fromkeys(str(one.params["name"]) for one in group))
    more = len(names) - NAMED
    params = {
        **group[0].params,
        "name": rep.AND_MORE(names=names[:NAMED], count=more) if more > 0 else ", ".join(names),
    }
    if "payload" in params:
        params["payload"] = ", ".join(dict.fromkeys(str(one.params["payload"]) for one in group))
    if "count" in params:
        params["count"] = max(one.params["count"] for one in group)
    return group[0].message(**params)
