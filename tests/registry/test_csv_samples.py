"""The sample sites: the committed files, the conversion, and prepare_samples."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from venclient.clock import ManualClock
from venclient.connectors import open_reader
from venclient.connectors.base import Site
from venclient.connectors.leases import Leases
from venclient.errors import ConfigError
from venclient.model.resource import ActorType, ConnectionType
from venclient.registry.kinds import default_capacities, kind_of_file
from venclient.registry.meterpoint import is_gs1
from venclient.registry.samples import convert_to_resources, generate_resources, sample_connection
from venclient.registry.towns import post_town

KINDS = (
    "bakeries",
    "bars",
    "chargingstations",
    "hotels",
    "industry",
    "restaurants",
    "schools",
    "swimmingpools",
)


def load(path: Path) -> ModuleType:
    """Import a script by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(root: Path, kind: str) -> list[dict[str, str]]:
    """Return the rows of one committed file."""
    with (root / f"config/exampleassets/{kind}-in-denmark.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Path:
    """Return a configuration folder with the committed samples."""
    shutil.copytree(root / "config/exampleassets", tmp_path / "config/exampleassets")
    return tmp_path / "config"


def frame(**changes: Any) -> Any:
    """Return a DataFrame of one row with the contract's columns."""
    import pandas as pd

    row = {
        "title": "Hotel A",
        "address": "Nørregade 1, 7400 Herning, Denmark",
        "longitude": 8.97,
        "latitude": 56.14,
        "resource_type": "DSR",
        "resource_sub_type": "Hotels",
        "meterpoint_id": "707057500123456784",
        "ven": "Herning",
        "resource_id": "5249eada-69af-432d-99a5-98f9c89f9aa6",
    }
    return pd.DataFrame([row | changes])


def test_the_script_makes_the_committed_files(root: Path, tmp_path: Path) -> None:
    """Running the generator again gives the example files, byte for byte."""
    count = load(root / "tools/make_example_assets.py").write_assets(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (root / "config/exampleassets").iterdir()}
    assert count >= 400


def test_the_samples_are_many_kinds_at_many_real_towns(root: Path) -> None:
    """Eight kinds or more, sixty towns or more with two-word names among them, each site once."""
    found = [row | {"kind": kind} for kind in KINDS for row in rows(root, kind)]
    towns = Counter(post_town(row["address"]).town for row in found)
    assert len(towns) >= 60
    assert None not in towns
    assert {"København Ø", "Nykøbing Mors"} <= set(towns)
    assert len({(row["title"], row["address"]) for row in found}) == len(found)
    herning = {row["kind"] for row in found if post_town(row["address"]).town == "Herning"}
    assert herning == set(KINDS)
    assert towns["Herning"] >= 8
    for row in found:
        assert 54.5 < float(row["latitude"]) < 57.8
        assert 8.0 < float(row["longitude"]) < 15.2


def test_the_samples_have_sites_of_every_type(config: Path) -> None:
    """480 sites by the convention of the file names, and ten each whose file says BATTERY or PV."""
    with generate_resources(config) as database:
        resources = database.get_all_resources()
    assert Counter(resource.resourceType for resource in resources) == {
        "DSR": 420,
        "EV": 60,
        "BATTERY": 10,
        "PV": 10,
    }
    for resource in resources:
        capacities = resource.capacities
        if resource.resourceType == "BATTERY":
            assert capacities["P_min_kw"] == -capacities["P_max_kw"] < 0 < capacities["E_max_kwh"]
            assert resource.ven not in (None, "Herning")
        elif resource.resourceType == "PV":
            assert capacities["P_min_kw"] < 0 == capacities["P_max_kw"]
            assert resource.connection.file == "examplemeterdata/pv.csv"


def test_generating_twice_changes_nothing(config: Path) -> None:
    """The second run leaves every row of the database as it was."""
    with generate_resources(config) as database:
        first = database.get_all_resources()
        before = _stamps(database)
    with generate_resources(config) as database:
        assert database.get_all_resources() == first
        assert _stamps(database) == before
    assert len(first) >= 400
    assert len({resource.resourceID for resource in first}) == len(first)
    assert len({resource.meterPointId for resource in first}) == len(first)
    assert all(is_gs1(resource.meterPointId) for resource in first)
    assert all(resource.meterPointId.startswith("707057500") for resource in first)


def _stamps(database: Any) -> list[tuple[Any, ...]]:
    with database.get_connection() as connection:
        found = connection.execute("SELECT resource_id, created_at, updated_at, connection_id FROM resources")
        return [tuple(row) for row in found]


def test_what_people_switched_off_stays_off(config: Path) -> None:
    """A sample that a user disabled is not enabled by the next run."""
    with generate_resources(config) as database:
        resource_id = database.get_all_resources()[0].resourceID
        database.set_enabled(resource_id, False)
    with generate_resources(config) as database:
        resource = database.get_resource(resource_id)
        assert resource is not None
        assert not resource.enabled


def test_samples_read_meter_files_that_exist(root: Path, config: Path) -> None:
    """Each sample's file lies beside the database, with the columns that its options name."""
    with generate_resources(config) as database:
        resources = database.get_all_resources()
    for resource in resources:
        connection = resource.connection
        assert (connection.type, connection.actortype) == (ConnectionType.FILEREADER, ActorType.READER)
        options = connection.options
        assert connection.file
        assert options
        with (root / "config" / connection.file).open(encoding="utf-8") as stream:
            header = stream.readline().strip().split(options["delimiter"])
        assert {value["column"] for value in options["values"]} | set(options["time"]["columns"]) <= set(
            header
        )
    # the batteries read other.csv, the PV plants pv.csv
    assert len({resource.connection.file for resource in resources}) == len(KINDS) + 2


async def test_the_file_connector_reads_every_sample(root: Path, config: Path) -> None:
    """A sample of each kind gives power and register of a week, and not one refused row."""
    with generate_resources(config) as database:
        herning = {resource.resourceSubType: resource for resource in database.get_resources(ven="Herning")}
    site = Site(ManualClock(), root / "config", lambda key: None, lambda secret: secret, Leases())
    for resource in herning.values():
        reader = open_reader(resource, site)
        batch = await reader.read()
        await reader.close()
        assert not batch.rejects
        assert Counter(reading.quantity for reading in batch.readings) == {"power_kw": 672, "energy_kwh": 672}
    assert len(herning) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_meters_stay_within_the_capacity_of_their_kind(root: Path, kind: str) -> None:
    """No sample, of whatever size, is read above the greatest power that it is said to have."""
    with (root / f"config/examplemeterdata/{kind}.csv").open(encoding="utf-8", newline="") as stream:
        powers = [float(row["power_kw"]) for row in csv.DictReader(stream, delimiter=";")]
    resource_type, sub_type = kind_of_file(f"{kind}-in-denmark.csv")
    limits = default_capacities(resource_type, sub_type)
    assert limits["P_min_kw"] <= min(powers)
    assert 0.5 * limits["P_max_kw"] < max(powers) <= limits["P_max_kw"]


def test_bad_rows_and_files_of_users_stop_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not a table is left out, a bad row is named, and the rest is there."""
    (config / "exampleassets/empty-in-denmark.csv").touch()
    (config / "exampleassets/shops-in-denmark.csv").write_text(
        'title,address,longitude,latitude\nShop,"Gade 1, 7400 Herning, Denmark",8.9,56.1\nBad,x,8.9\n',
        encoding="utf-8",
    )
    with generate_resources(config, quiet=False) as database:
        assert database.get_statistics()["by_subtype"]["Shops"] == 1
    assert "line 3" in capsys.readouterr().out


def test_no_samples_are_told(tmp_path: Path) -> None:
    """A folder without samples is an error that says what belongs there."""
    with pytest.raises(ConfigError, match="VEN-IMP-081"):
        generate_resources(tmp_path)


def test_a_frame_becomes_resources_and_their_vens() -> None:
    """Every column of the contract arrives where it belongs."""
    ((resource, ven),) = convert_to_resources(frame())
    assert ven == resource.ven == "Herning"
    assert resource.resourceID == "5249eada-69af-432d-99a5-98f9c89f9aa6"
    assert resource.meterPointId == "707057500123456784"
    assert (resource.resourceName, resource.resourceType, resource.resourceSubType) == (
        "Hotel A",
        "DSR",
        "Hotels",
    )
    assert resource.location == {"latitude": 56.14, "longitude": 8.97}
    assert resource.capacities == {"P_max_kw": 50, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0}


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_missing_ids_are_derived(missing: float | None) -> None:
    """Without ids the row's name and address give them, the same each time."""
    made = [convert_to_resources(frame(meterpoint_id=missing, resource_id=missing)) for _ in range(2)]
    assert made[0] == made[1]
    assert is_gs1(made[0][0][0].meterPointId)


def test_values_of_the_enum_are_taken_for_types() -> None:
    """A frame may say "Electric Vehicle" or EV."""
    for text in ("EV", "Electric Vehicle"):
        ((resource, _),) = convert_to_resources(
            frame(resource_type=text, resource_sub_type="Chargingstations")
        )
        assert resource.resourceType == "EV"
        assert resource.capacities == {"P_max_kw": 22, "P_min_kw": 0, "E_max_kwh": 100, "E_min_kwh": 0}


def test_sizes_differ_but_stay() -> None:
    """The scale of a sample's meter follows from its id and lies between a half and one."""
    scales = [sample_connection("Hotels", str(n)).options["values"][0]["scale"] for n in range(50)]  # type: ignore[index]
    assert len(set(scales)) > 20
    assert 0.5 <= min(scales) < max(scales) <= 1
    assert sample_connection("Hotels", "7") == sample_connection("Hotels", "7")
    assert sample_connection("Shops", "7").file == "examplemeterdata/other.csv"


@pytest.mark.peer
def test_prepare_samples_builds_the_database_and_prints_statistics(root: Path, config: Path) -> None:
    """The script, run beside a configuration folder, exits with 0 and prints what the database holds."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    for expected in ("created 6", "unchanged 6"):
        done = subprocess.run(
            [sys.executable, str(root / "prepare_samples.py")],
            cwd=config.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "by type: " in done.stdout
        assert expected in done.stdout
    assert (config / "resources.db").is_file()
