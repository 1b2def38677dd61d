"""The official client library, as the independent writer: untyped, so it is behind this."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Any


def client() -> Any:
    """Return the module influxdb_client."""
    return import_module("influxdb_client")


def point_line(resource_id: str, field: str, value: float, ms: int) -> str:
    """Return the line that it writes."""
    point = client().Point("meter_reading").tag("resource_id", resource_id).field(field, value)
    return str(point.time(ms, client().WritePrecision.MS).to_line_protocol())


def write_as_specified(url: str, resource_id: str, meter_point_id: str, value: float, time: datetime) -> None:
    """Write one reading as the specification's example does."""
    from influxdb_client.client.write_api import SYNCHRONOUS

    with client().InfluxDBClient(url=url, token="...", org="site") as influx_client:
        point = (
            client()
            .Point("meter_reading")
            .tag("resource_id", resource_id)
            .tag("meter_point_id", meter_point_id)
            .field("power_kw", value)
            .time(time)
        )
        influx_client.write_api(write_options=SYNCHRONOUS).write(bucket="meter_data", record=point)
