"""Answers of something that is no InfluxDB: JSON nested deeper than Python follows."""

from __future__ import annotations

import pytest

from venclient.errors import StoreError
from venclient.readings.influx_probe import Kept, _of_bucket, _of_policies
from venclient.readings.influx_query import influxql_fields, influxql_points

DEEP = [b"[" * 100_000, b'{"results":' * 100_000, b'{"results":[{"series":' + b"[" * 100_000]


@pytest.mark.parametrize("content", DEEP)
def test_deeply_nested_answers_are_no_results(content: bytes) -> None:
    """They are named as what they are not, and end nothing."""
    assert _of_bucket(200, content) == _of_policies(200, content) == Kept(False)
    for read in (influxql_fields, influxql_points):
        with pytest.raises(StoreError):
            read(content)
