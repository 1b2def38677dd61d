"""The three-way rule as a state machine: any order of imports and edits, several cells, sites and files.

The model keeps three values of each cell (last imported by each file, stored, in the file) and decides what
is stored by the rule alone. The registry must agree after each step.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from typer.testing import CliRunner

from resource_db import ResourceDatabase
from venclient.cli import app
from venclient.model.resource import Resource
from venclient.registry.csv_import import import_csv
from venclient.registry.samples import generate_resources

METERS, SAMPLES = ("r1", "r2"), ("s1", "s2")
TOWN = "Lyngby"
TEMPLATES = ("eastron-sdm630", "eastron-sdm120", "abb-b23")
#: cell -> column, and what the column may say: text in the file -> stored value.
VALUES: dict[str, tuple[str, dict[str, Any]]] = {
    "resourceName": ("title", {"Inn": "Inn", "Bar": "Bar", "Kro": "Kro"}),
    "ven": ("ven", {"North": "North", "South": "South", TOWN: TOWN}),
    "enabled": ("enabled", {"yes": True, "no": False}),
    "capacities.P_max_kw": ("p_max_kw", {"11": 11.0, "22": 22.0, "33": 33.0}),
    "capacities.E_max_kwh": ("e_max_kwh", {"50": 50.0, "60": 60.0, "70": 70.0}),
    "connection.host": ("host", {"10.0.0.1": "10.0.0.1", "10.0.0.2": "10.0.0.2", "10.0.0.3": "10.0.0.3"}),
    "connection.options.template": ("template", {name: name for name in TEMPLATES}),
}
PASSWORD = "connection.password"
WORDS = ("hush-1", "hush-2", "hush-3")
ALL_CELLS = (*VALUES, PASSWORD)
OF_METERS = ("connection.host", "connection.options.template")
OPTIONAL = tuple(cell for cell in VALUES if cell not in ("resourceName", "ven"))
Row = dict[str, str]


def row_of(cells: tuple[str, ...]) -> st.SearchStrategy[Row]:
    """Return rows that say the name, and each of `cells` or nothing (an empty cell)."""
    named = {cell: st.sampled_from(["", *VALUES[cell][1]]) for cell in cells if cell != "resourceName"}
    return st.fixed_dictionaries({"resourceName": st.sampled_from([*VALUES["resourceName"][1]]), **named})


#: What a file says: its columns, and the rows of some sites.
METER_FILE = st.sets(st.sampled_from(("ven", *OPTIONAL))).flatmap(
    lambda cells: st.dictionaries(st.sampled_from(METERS), row_of(tuple(sorted(cells))), min_size=1)
)
SAMPLE_FILE = st.sets(st.sampled_from(("ven", "capacities.P_max_kw", "capacities.E_max_kwh"))).flatmap(
    lambda cells: st.dictionaries(st.sampled_from(SAMPLES), row_of(tuple(sorted(cells))), min_size=1)
)
EDITS = st.dictionaries(st.sampled_from(ALL_CELLS), st.integers(0, 2), min_size=1, max_size=4)


def value_of(resource: Resource, cell: str) -> Any:
    """Return the stored value of a cell."""
    group, _, part = cell.partition(".")
    if not part:
        return getattr(resource, group)
    if group == "capacities":
        return resource.capacities.get(part)
    if cell == "connection.options.template":
        return (resource.connection.options or {}).get("template")
    return getattr(resource.connection, part)


def with_cells(resource: Resource, cells: dict[str, Any]) -> Resource:
    """Return a resource with other cells."""
    link, capacities = resource.connection, dict(resource.capacities)
    changed: dict[str, Any] = {}
    for cell, value in cells.items():
        group, _, part = cell.partition(".")
        if not part:
            changed[group] = value
        elif group == "capacities":
            capacities[part] = value
        elif cell == "connection.options.template":
            link = replace(link, options={**(link.options or {}), "template": value})
        else:
            link = replace(link, **{part: value})
    return replace(resource, **changed, connection=link, capacities=capacities)


class ThreeWay(RuleBasedStateMachine):
    """Imports, edits and preparations in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.root = Path(self._folder.name)
        (self.root / "exampleassets").mkdir()
        self.db = ResourceDatabase(str(self.root / "resources.db"))
        self.stored: dict[str, dict[str, Any]] = {}
        self.last: dict[str, dict[str, dict[str, Any]]] = {}
        self.newest: list[str] = []
        self.paths = {name: self.root / f"{name}.csv" for name in ("first", "second", "secret")}
        self.renamed = 0

    def teardown(self) -> None:
        """Close the registry."""
        self.db.close()
        self._folder.cleanup()

    # The model

    def _decide(self, source: str, rows: dict[str, Row], words: str | None, *, overwrite: bool) -> list[Any]:
        """Apply the rule to what a file says; return (site, cell) of each conflict."""
        conflicts = []
        before = {site: dict(cells) for site, cells in self.last.get(source, {}).items()}
        known_sites = set(before)
        for site, row in rows.items():
            said = self._said(row, words)
            if site not in self.stored:
                self._create(source, site, said)
                continue
            stored = self.stored[site]
            base = self._base(source, site)
            record = dict(base)
            for cell, new in said.items():
                old, known = stored.get(cell), cell in base
                if new != old and known and base[cell] == new:
                    continue  # the file says what it said last time
                secret = cell == PASSWORD and not known and old is None
                if new == old or overwrite or (known and base[cell] == old) or secret:
                    stored[cell] = record[cell] = new
                else:
                    conflicts.append((site, cell))
            self.last.setdefault(source, {})[site] = record
        if self.last.get(source) != before or set(rows) - known_sites:
            self.newest = [source, *(one for one in self.newest if one != source)]
        return conflicts

    def _said(self, row: Row, words: str | None) -> dict[str, Any]:
        """Return the cells that a row says."""
        said = {cell: VALUES[cell][1][text] for cell, text in row.items() if text}
        said.setdefault("ven", TOWN)
        if words is not None:
            said[PASSWORD] = words
        return said

    def _create(self, source: str, site: str, said: dict[str, Any]) -> None:
        """Take what the registry has of a new site: what the file says, and what was assumed."""
        found = self.db.get_resource(site)
        assert found is not None
        made = {cell: value_of(found, cell) for cell in ALL_CELLS}
        assert said.items() <= made.items()
        self.stored[site] = made
        secret = [] if made[PASSWORD] is None else [PASSWORD]
        self.last.setdefault(source, {})[site] = {cell: made[cell] for cell in (*VALUES, *secret)}

    def _base(self, source: str, site: str) -> dict[str, Any]:
        """Return the last imported cells of a site: those of the file, or of the newest other file."""
        for name in (source, *self.newest):
            if site in self.last.get(name, {}):
                return self.last[name][site]
        return {}

    def _agree(self) -> None:
        """Compare the registry with the model."""
        found = {one.resourceID: one for one in self.db.get_all_resources()}
        assert {
            site: {cell: value_of(one, cell) for cell in ALL_CELLS} for site, one in found.items()
        } == self.stored

    # What happens

    def _write(self, path: Path, rows: dict[str, Row]) -> None:
        columns = sorted({cell for row in rows.values() for cell in row})
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            header = [VALUES[cell][0] for cell in columns]
            writer.writerow(["resource_id", "address", "lat", "lon", "connection_type", *header])
            for site, row in rows.items():
                wired = "MODBUSTCP" if row.get("connection.host") else ""
                cells = [row.get(cell, "") for cell in columns]
                writer.writerow([site, f"Vej 1, 2800 {TOWN}", 55.7, 12.5, wired, *cells])

    def _complete(self, site: str, row: Row, name: str) -> Row:
        """Return a row with a host where its connection needs one."""
        needs = site not in self.stored or row.get("connection.options.template") or name == "secret"
        return row | {"connection.host": "10.0.0.1"} if needs and not row.get("connection.host") else row

    def _import(self, name: str, rows: dict[str, Row] | None, *, overwrite: bool = False) -> None:
        path, words = self.paths[name], None
        if rows is not None:
            rows = {site: self._complete(site, row, name) for site, row in rows.items()}
            self._write(path, rows)
            self.files[name] = rows
        if name == "secret":
            words = self.words
            text = f'[connection]\ntype = "modbustcp"\npassword = "{words}"\n'
            path.with_suffix(".toml").write_text(text, encoding="utf-8")
        report = import_csv(self.db, path, overwrite=overwrite)
        assert report.rejected == []
        expected = self._decide(str(path.resolve()), self.files[name], words, overwrite=overwrite)
        found = [(one.resource_id, cell) for one in report.conflicts for cell in one.cells]
        assert sorted(found) == sorted(expected)
        self._agree()

    @initialize(rows=st.fixed_dictionaries({site: row_of(tuple(VALUES)) for site in METERS}))
    def begin(self, rows: dict[str, Row]) -> None:
        """Import a file that names every cell."""
        self.files: dict[str, dict[str, Row]] = {}
        self.words = WORDS[0]
        self._import("first", rows)

    @rule(name=st.sampled_from(("first", "second")), rows=METER_FILE, overwrite=st.booleans())
    def import_changed(self, name: str, rows: dict[str, Row], overwrite: bool) -> None:
        """Import a file that says something else."""
        self._import(name, rows, overwrite=overwrite)

    @rule(name=st.sampled_from(("first", "second", "secret")), overwrite=st.booleans())
    def import_again(self, name: str, overwrite: bool) -> None:
        """Import a file as it is."""
        if name in self.files:
            self._import(name, None, overwrite=overwrite)

    @rule(rows=METER_FILE, word=st.sampled_from(WORDS), overwrite=st.booleans())
    def import_password(self, rows: dict[str, Row], word: str, overwrite: bool) -> None:
        """Import a file with a mapping that has a password."""
        self.words = word
        self._import("secret", rows, overwrite=overwrite)

    @rule(name=st.sampled_from(("first", "second")))
    def rename(self, name: str) -> None:
        """Import a file under another name."""
        if name in self.files:
            self.renamed += 1
            self.paths[name] = self.paths[name].rename(self.root / f"{name}-{self.renamed}.csv")
            self._import(name, None)

    @rule(name=st.sampled_from(("first", "second")), rows=METER_FILE)
    def dry_run(self, name: str, rows: dict[str, Row]) -> None:
        """Look what an import would do: nothing is changed or remembered."""
        path = self.root / "dry.csv"
        self._write(path, rows)
        import_csv(self.db, path, dry_run=True, source=str(self.paths[name].resolve()), overwrite=True)
        self._agree()

    @rule(rows=SAMPLE_FILE)
    def prepare(self, rows: dict[str, Row]) -> None:
        """Prepare the samples."""
        path = self.root / "exampleassets" / "hotels-in-denmark.csv"
        self._write(path, rows)
        generate_resources(self.root).close()
        self._decide(f"sample {path.name}", rows, None, overwrite=False)
        self._agree()

    @rule(edits=EDITS, way=st.sampled_from(("object", "named", "upsert", "set")), data=st.data())
    def edit(self, edits: dict[str, int], way: str, data: st.DataObject) -> None:
        """Change cells of one site, or of all, by one of the routes that a user has."""
        site = data.draw(st.sampled_from(sorted(self.stored)))
        sites = [site] if way != "set" else sorted(self.stored)
        cells = {
            cell: WORDS[at] if cell == PASSWORD else [*VALUES[cell][1].values()][at % len(VALUES[cell][1])]
            for cell, at in edits.items()
            if cell not in OF_METERS or not {*sites} & {*SAMPLES}
        }
        if not cells:
            return
        if way == "set":
            pairs = [
                f"{cell}={str(value).lower() if value in (True, False) else value}"
                for cell, value in cells.items()
            ]
            command = ["resources", "set", "--all", *pairs, "--db", self.db.db_path]
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, result.output
        elif way == "named":
            self.db.update_resource(site, cells)
        else:
            found = self.db.get_resource(site)
            assert found is not None
            changed = with_cells(found, cells)
            if way == "object":
                self.db.update_resource(changed)
            else:
                self.db.upsert_resource(changed)
        for one in sites:
            self.stored[one].update(cells)
        self._agree()


ThreeWay.TestCase.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
TestThreeWay = ThreeWay.TestCase
