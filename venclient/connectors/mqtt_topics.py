"""Topics and topic filters of MQTT, and which level of a topic says whose message it is. Pure: no network.

site/+/power     + is any one level           site/a/power       not site/power, not site/a/b/power
site/#           # is all levels below        site, site/a, site/a/b
+/power, #       never $SYS/...               (MQTT 3.1.1, 4.7.2)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from venclient.connectors.mistakes import shown
from venclient.messages import mqtt as mqt
from venclient.model.resource import Resource

_LONGEST = 65535
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
#: What `match` may say of a resource.
WORDS = ("name", "id", "meter_point_id")


class TopicFilter:
    """A topic or filter as a broker takes it, narrowed to the topics whose `level` (from 1) is `text`."""

    def __init__(self, topic: str, *, level: int | None = None, text: str | None = None) -> None:
        self.topic = topic
        self.level = level
        self.text = text
        self._levels = topic.split("/")
        self._rest = self._levels[-1] == "#"
        self._wild = self._levels[0] in ("+", "#")
        self._wanted = None if text is None else _folded(text)

    def covers(self, topic: str) -> bool:
        """Tell whether a broker sends us the messages of a topic for this filter."""
        levels = topic.split("/")
        if self._wild and topic.startswith("$"):
            return False
        wanted = self._levels[:-1] if self._rest else self._levels
        if len(levels) < len(wanted) or (len(levels) > len(wanted) and not self._rest):
            return False
        return all(one in ("+", level) for one, level in zip(wanted, levels, strict=False))

    def takes(self, topic: str) -> bool:
        """Tell whether a topic is covered and its level says that it is ours."""
        return self.covers(topic) and (self._wanted is None or _folded(self.said(topic)) == self._wanted)

    def said(self, topic: str) -> str:
        """Return the level of a topic that says whose it is, "" where it has none."""
        levels = topic.split("/")
        return levels[self.level - 1] if self.level is not None and self.level <= len(levels) else ""


def filter_mistakes(topic: str) -> list[str]:
    """Return what is wrong with a topic or filter to subscribe to, as a list of at most one sentence."""
    levels = topic.split("/")
    if not topic:
        return [mqt.TOPIC_MISSING()]
    if "\0" in topic or len(topic.encode()) > _LONGEST:
        return [mqt.TOPIC_LENGTH(limit=_LONGEST)]
    if "#" in "".join(levels[:-1]) or any(("#" in one or "+" in one) and len(one) > 1 for one in levels):
        return [mqt.TOPIC_WILDCARD(topic=shown(topic))]
    if topic.startswith("$share/"):
        return [mqt.TOPIC_SHARED(topic=shown(topic))]
    return []


def publishing_mistakes(topic: str) -> list[str]:
    """Return what is wrong with a topic to publish to, as a list of at most one sentence."""
    if not topic or "+" in topic or "#" in topic or "\0" in topic or len(topic.encode()) > _LONGEST:
        return [mqt.TOPIC_PUBLISH(topic=shown(topic))]
    return []


def match_mistakes(match: str) -> list[str]:
    """Return what is wrong with the option `match`, as a list of at most one sentence."""
    unknown = [name for name in _PLACEHOLDER.findall(match) if name not in WORDS]
    if unknown or not match:
        known = [f"{{{word}}}" for word in WORDS]
        return [mqt.MATCH_INVALID(match=shown(match), known=known)]
    return []


def filter_of(resource: Resource, match: str | None, level: int | None) -> tuple[TopicFilter, list[str]]:
    """Build the filter of a resource's topic; return it with what is wrong with `match` and `level` there.

    `match` is what the level must be: a word of `WORDS`, or a text in which such words stand in braces.
    """
    topic = resource.connection.topic or ""
    if match is None:
        problem: list[str] = [] if level is None else [mqt.LEVEL_ALONE()]
        return TopicFilter(topic), problem
    levels = topic.split("/")
    if level is None:
        level = next((n for n, one in enumerate(levels, 1) if one in ("+", "#")), None)
        if level is None:
            return TopicFilter(topic), [mqt.MATCH_NO_PLUS(topic=shown(topic))]
    elif (level > len(levels) or levels[level - 1] != "+") and not (
        levels[-1] == "#" and level >= len(levels)
    ):
        return TopicFilter(topic), [mqt.LEVEL_NO_PLUS(level=level, topic=shown(topic))]
    text = _text_of(resource, match)
    if not text or any(char in text for char in "/+#\0"):
        return TopicFilter(topic), [mqt.MATCH_LEVEL(text=shown(text))]
    return TopicFilter(topic, level=level, text=text), []


def _text_of(resource: Resource, match: str) -> str:
    words: Mapping[str, str] = {
        "name": resource.resourceName,
        "id": resource.resourceID,
        "meter_point_id": resource.meterPointId,
    }
    if match in words:
        return words[match]
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), match)


def _folded(text: str) -> str:
    # The same letters may come composed (é) or as letter and accent.
    return text if text.isascii() else unicodedata.normalize("NFC", text)
