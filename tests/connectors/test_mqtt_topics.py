"""Topics and filters: which messages a filter brings, and which of them are a resource's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from tests.connectors.sites import make_resource
from venclient.connectors.mqtt_topics import (
    TopicFilter,
    filter_mistakes,
    filter_of,
    match_mistakes,
    publishing_mistakes,
)
from venclient.messages import with_code
from venclient.model.resource import ConnectionType, Resource

LEVELS = st.sampled_from(["a", "b", "", "$SYS", "ø", "a b"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=5).map("/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, rest: "/".join([*levels, *(["#"] if rest else [])]),
    st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=4),
    st.booleans(),
).filter(bool)


def by_expression(topic_filter: str, topic: str) -> bool:
    """Say whether a filter brings a topic, by the words of the standard made a regular expression."""
    if topic_filter[0] in "+#" and topic[0:1] == "$":
        return False
    pattern = re.escape(topic_filter).replace(r"\+", "[^/]*")
    pattern = re.sub(r"^\\#$", ".*", pattern)
    pattern = re.sub(r"/\\#$", "(/.*)?", pattern)
    return re.fullmatch(pattern, topic, re.DOTALL) is not None


@settings(max_examples=400, deadline=None)
@given(FILTERS, TOPICS)
def test_a_filter_covers_what_the_standard_says(topic_filter: str, topic: str) -> None:
    """Wildcards, empty levels and topics that begin with $ are as MQTT has them."""
    covered = TopicFilter(topic_filter).covers(topic)

    assert covered == by_expression(topic_filter, topic)
    assert covered == topic_matches_sub(topic_filter, topic)


@settings(max_examples=200, deadline=None)
@given(TOPICS, st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_topic_is_covered_however_its_levels_are_replaced(topic: str, replaced: list[bool]) -> None:
    """Any level may become a plus, and what is behind any level a hash."""
    levels = topic.split("/")
    plus = "/".join("+" if one else level for level, one in zip(levels, replaced, strict=False))
    if not topic.startswith("$"):
        assert TopicFilter(plus).covers(topic)
        for n in range(1, len(levels) + 1):
            assert TopicFilter("/".join([*levels[:n], "#"])).covers(topic)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    """No text crashes the check, and a text without mistake covers itself unless it has a wildcard."""
    if not filter_mistakes(text) and not {"+", "#"} & set(text):
        assert TopicFilter(text).covers(text)


def resource(topic: str = "shellies/+/emeter/0/power", name: str = "Hotel Ærø") -> Resource:
    """Build a resource of a topic."""
    return make_resource(ConnectionType.MQTT, name=name, host="broker", topic=topic)


@pytest.mark.parametrize(
    ("match", "level", "topic", "ours"),
    [
        ("name", None, "shellies/Hotel Ærø/emeter/0/power", True),
        ("name", 2, "shellies/Hotel Ærø/emeter/0/power", True),
        ("name", None, "shellies/Hotel Aero/emeter/0/power", False),
        ("name", None, "shellies/Hotel Ærø/emeter/1/power", False),
        ("id", None, "shellies/id-of-Hotel Ærø/emeter/0/power", True),
        ("meter_point_id", None, "shellies/707057500000000005/emeter/0/power", True),
        ("em3-{meter_point_id}", None, "shellies/em3-707057500000000005/emeter/0/power", True),
        ("em3-{meter_point_id}", None, "shellies/707057500000000005/emeter/0/power", False),
        ("shellyem3-483FDAC37E3F", None, "shellies/shellyem3-483FDAC37E3F/emeter/0/power", True),
        (None, None, "shellies/anybody/emeter/0/power", True),
    ],
)
def test_a_level_says_whose_a_message_is(
    match: str | None, level: int | None, topic: str, ours: bool
) -> None:
    """The level is compared with the resource's name, id, meter point id, or a text made of them."""
    topics, problems = filter_of(resource(), match, level)

    assert problems == []
    assert topics.takes(topic) is ours


def test_composed_and_decomposed_letters_are_the_same() -> None:
    """A name with an accent is the same level however its letters are coded."""
    topics, _ = filter_of(resource("s/+", "Café"), "name", None)

    assert topics.takes("s/Cafe\u0301")


def test_a_level_below_a_hash_can_be_matched() -> None:
    """With # at the end any level behind it may say whose the message is."""
    topics, problems = filter_of(resource("s/#"), "name", 3)

    assert problems == []
    assert topics.takes("s/x/Hotel Ærø/power")
    assert not topics.takes("s/Hotel Ærø")


@pytest.mark.parametrize(
    ("topic", "match", "level", "word"),
    [
        ("s/power", "name", None, "has no +"),
        ("s/+/power", "name", 1, "level 1"),
        ("s/+/power", "name", 9, "level 9"),
        ("s/+/power", None, 2, "VEN-MQT-007"),
        ("s/+/power", "a/b", None, "VEN-MQT-010"),
    ],
)
def test_a_match_that_cannot_be_is_named(topic: str, match: str | None, level: int | None, word: str) -> None:
    """A match without a wildcard, at a fixed level, or with a text that no level can be, is refused."""
    assert word in with_code(filter_of(resource(topic), match, level)[1][0])


def test_words_that_match_does_not_know_are_named() -> None:
    """A misspelt placeholder is reported with those that are known."""
    assert "{meter_point_id}" in match_mistakes("em-{meterpoint}")[0]
    assert match_mistakes("em-{id}") == match_mistakes("plain") == []
    assert match_mistakes("")


def test_topics_to_publish_to_have_no_wildcard() -> None:
    """Only a plain topic can be published to."""
    assert publishing_mistakes("a/b") == []
    assert all(publishing_mistakes(topic) for topic in ("", "a/+", "#", "a\0"))
