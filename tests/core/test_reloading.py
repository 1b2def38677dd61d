"""Settings read again: what is applied while the gateway runs, and what is named for a restart."""

from __future__ import annotations

from pathlib import Path

from venclient.reloading import Reload, reloaded
from venclient.settings import SETTINGS, load_settings

BASE = '[ven]\nname = "hotel"\n[vtn]\nurl = "https://vtn.example"\n'
OPERATOR = '[vtns.operator]\nurl = "https://operator.example"\n'


def reload(folder: Path, before: str, after: str) -> Reload:
    """Return what becomes of `before` when the file says `after`."""
    file = folder / "ven.toml"
    file.write_text(before)
    running = load_settings(file, environment={})
    file.write_text(after)
    return reloaded(running, load_settings(file, environment={}))


def test_settings_towards_the_vtn_are_applied(tmp_path: Path) -> None:
    """Address, poll time and log level are taken up; nothing needs a restart."""
    found = reload(
        tmp_path, BASE, BASE.replace("vtn.example", "new.example") + 'poll_s = 5\n[log]\nlevel = "DEBUG"\n'
    )

    assert sorted(found.applied) == ["log.level", "vtn.poll_s", "vtn.url"]
    assert found.restart == ()
    assert found.settings["vtn.url"] == "https://new.example"


def test_what_is_fixed_stays_as_it_runs_and_is_named(tmp_path: Path) -> None:
    """The name of the VEN and where readings are kept need a restart."""
    after = BASE.replace("hotel", "inn") + '[readings]\npath = "other.db"\n'
    found = reload(tmp_path, BASE, after)

    assert sorted(found.restart) == ["readings.path", "ven.name"]
    assert found.applied == ()
    assert (found.settings["ven.name"], found.settings["readings.path"]) == ("hotel", "var/readings.db")


def test_further_vtns_come_change_and_go(tmp_path: Path) -> None:
    """A table that is new or gone is named as a whole, a changed key with its table."""
    assert reload(tmp_path, BASE, BASE + OPERATOR).applied == ("vtns.operator",)
    assert reload(tmp_path, BASE + OPERATOR, BASE).applied == ("vtns.operator",)
    changed = reload(tmp_path, BASE + OPERATOR, BASE + OPERATOR + 'ven_name = "hotel-7"\npoll_s = 7\n')
    assert sorted(changed.applied) == ["vtns.operator.poll_s", "vtns.operator.ven_name"]
    assert changed.settings.others["operator"]["ven.name"] == "hotel-7"


def test_further_vtn_that_shares_the_name_keeps_it_too(tmp_path: Path) -> None:
    """A setting that needs a restart needs it for every VTN that shares it."""
    found = reload(tmp_path, BASE + OPERATOR, BASE.replace("hotel", "inn") + OPERATOR)

    assert found.restart == ("ven.name",)
    assert found.settings.others["operator"]["ven.name"] == "hotel"


def test_file_that_says_the_same_changes_nothing(tmp_path: Path) -> None:
    """Nothing is applied, nothing is named."""
    found = reload(tmp_path, BASE + OPERATOR, BASE + OPERATOR)

    assert (found.applied, found.restart) == ((), ())


def test_every_setting_is_either_applied_or_named(tmp_path: Path) -> None:
    """No changed setting is dropped without a word."""
    (tmp_path / "ven.toml").write_text(BASE)
    running = load_settings(tmp_path / "ven.toml", environment={})
    for setting in SETTINGS:
        values = {**running.values, setting.key: object()}
        found = reloaded(running, type(running)(values, running.origin, running.folder))
        assert (*found.applied, *found.restart) == (setting.key,)
