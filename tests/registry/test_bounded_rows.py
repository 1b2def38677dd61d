"""JSON of one row that is too long or nested too deeply costs that row alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.registry.objects import make_resource
from venclient.messages import code_of, text_of
from venclient.registry.database import ResourceDatabase
from venclient.registry.rows import MOST_CELL, MOST_NESTED, BadRow, json_object


def nested(levels: int) -> str:
    """Return an object with nested lists in it."""
    return '{"a": ' + "[" * levels + "]" * levels + "}"


@pytest.mark.parametrize(
    "text", [nested(MOST_NESTED), nested(100_000), nested(400_000), '{"a": "' + "x" * MOST_CELL + '"}']
)
def test_excess_is_a_bad_row(text: str) -> None:
    """It is refused by its column, whatever the recursion limit is."""
    with pytest.raises(BadRow) as caught:
        json_object(text, "connections.options")
    assert code_of(text_of(caught.value)) == "VEN-REG-340"


def test_brackets_in_texts_do_not_count() -> None:
    """A text with many brackets is not nested."""
    text = '{"a": "' + "[" * 1000 + '\\"{"}'

    assert json_object(text, "options")["a"].startswith("[[")


def test_depth_counts_and_not_number() -> None:
    """Many objects next to each other are read."""
    assert len(json_object('{"a": [' + ", ".join(["{}"] * 1000) + "]}", "options")["a"]) == 1000


def test_other_rows_are_read(tmp_path: Path) -> None:
    """A registry with one such row gives all other resources."""
    path = tmp_path / "resources.db"
    with ResourceDatabase(str(path)) as registry:
        for name in ("a", "b", "c"):
            registry.upsert_resource(make_resource(name))
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE resources SET capacities = ? WHERE resource_id = 'b'", (nested(200_000),))
        raw.commit()
    with ResourceDatabase(str(path)) as registry:
        assert [one.resourceID for one in registry.get_resources()] == ["a", "c"]
        assert len(registry.rejects) == 1
