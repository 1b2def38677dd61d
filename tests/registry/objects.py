"""Resources, connections and files of the first generation for the registry's tests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.contract.old_rows import add_old_rows
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource


def make_connection(**changes: Any) -> Connection:
    """Return an MQTT reader with `changes`; one of another type has no options unless they are given."""
    fields: dict[str, Any] = {
        "type": ConnectionType.MQTT,
        "actortype": ActorType.READER,
        "host": "broker.example",
        "port": 1883,
        "topic": "site/power",
        "username": "site",
        "password": "hunter2",
        "options": {"values": [{"path": "/p", "quantity": "power_kw", "unit": "W"}]},
    }
    if str(changes.get("type", "mqtt")).casefold() != "mqtt":
        del fields["options"]
    return Connection(**fields | changes)


def make_resource(resource_id: str = "r-1", **changes: Any) -> Resource:
    """Return a hotel in Herning with `changes`."""
    fields: dict[str, Any] = {
        "resourceID": resource_id,
        "resourceName": "Hotel Ørnen",
        "resourceType": "DSR",
        "resourceSubType": "Hotels",
        "meterPointId": "707057500000000015",
        "connection": make_connection(),
        "capacities": {"P_max_kw": 50, "P_min_kw": -20.5, "E_max_kwh": 200, "E_min_kwh": 0},
        "location": {"latitude": 56.14, "longitude": 8.97},
        "address": "Bredgade 1, 7400 Herning, Denmark",
        "enabled": True,
        "ven": "Herning",
    }
    return Resource(**fields | changes)


def make_old_file(path: Path) -> None:
    """Write a database as a program of the first generation left it: no versions, lower-case values."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            """
            CREATE TABLE connections (
                id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, actortype TEXT NOT NULL,
                host TEXT, port INTEGER, topic TEXT, file TEXT, username TEXT, password TEXT,
                created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
            CREATE TABLE resources (
                id INTEGER PRIMARY KEY AUTOINCREMENT, resource_id TEXT UNIQUE NOT NULL,
                resource_name TEXT NOT NULL, resource_type TEXT NOT NULL, resource_sub_type TEXT,
                meter_point_id TEXT NOT NULL, connection_id INTEGER NOT NULL, capacities TEXT NOT NULL,
                location TEXT NOT NULL, address TEXT, ven TEXT, enabled BOOLEAN DEFAULT 1, reporting TEXT,
                created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                FOREIGN KEY (connection_id) REFERENCES connections(id));
            CREATE INDEX idx_resource_id ON resources(resource_id);
            CREATE INDEX idx_meter_point_id ON resources(meter_point_id);
            """
        )
        add_old_rows(old)
