"""The commands of the how-to about finding and exporting resources work as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.snippets import snippet
from tests.docs.test_snippets import python, shell
from tests.registry.objects import make_resource
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Path:
    """Return a folder with the doors and a registry of two sites in Herning and one in Copenhagen."""
    for door in ("resource_db.py", "flex_resources.py"):
        (tmp_path / door).write_bytes((root / door).read_bytes())
    with ResourceDatabase(tmp_path / "config" / "resources.db") as db:
        db.bulk_insert_resources(
            [
                make_resource("r-1", resourceType="EV"),
                make_resource("r-2"),
                make_resource(
                    "r-3", resourceName="Ålholm Skole", address="Torv 1, 1000 København K", ven="K"
                ),
            ]
        )
    return tmp_path


@pytest.mark.peer
def test_finding_goes_as_the_how_to_says(root: Path, site: Path) -> None:
    """The commands and the Python block find what they say."""
    output = shell(snippet(root, "run: find"), site)
    asked = python(snippet(root, "run: find from python"), site)

    assert "r-1" in output.splitlines()[3]
    assert "Ålholm Skole" in output
    assert asked.splitlines() == ["1 of 1", "r-2 Hotel Ørnen"]


@pytest.mark.peer
def test_exports_go_as_the_how_to_says(root: Path, site: Path) -> None:
    """The CSV comes back whole, the GeoJSON has the part that was asked for."""
    shell(snippet(root, "run: export"), site)

    with ResourceDatabase(site / "new.db") as db:
        assert import_csv(db, site / "sites.csv").created == 3
    assert len(json.loads((site / "herning.geojson").read_text())["features"]) == 2
    assert len(json.loads((site / "resources.json").read_text())["resources"]) == 3
