"""Connections of the model: whether they name everything that their type needs."""

from __future__ import annotations

from typing import Any

import pytest

from venclient.model.resource import ActorType, Connection


@pytest.mark.parametrize(
    ("kind", "fields", "missing"),
    [
        ("filereader", {"file": ""}, ("file",)),
        ("filereader", {"file": None}, ("file",)),
        ("filereader", {"file": " "}, ("file",)),
        ("filereader", {"file": "meter.csv"}, ()),
        ("mqtt", {}, ("host", "topic")),
        ("mqtt", {"host": "broker"}, ("topic",)),
        ("mqtt", {"host": "broker", "topic": "a/b"}, ()),
        ("modbustcp", {"host": ""}, ("host",)),
        ("modbustcp", {"host": "192.0.2.1"}, ()),
    ],
)
def test_missing_fields_of_a_connection(kind: Any, fields: dict[str, Any], missing: tuple[str, ...]) -> None:
    """A connection names the fields that it lacks, and has a source when it lacks none."""
    connection = Connection(kind, ActorType.READER, **fields)

    assert connection.missing == missing
    assert connection.has_source is not bool(missing)
