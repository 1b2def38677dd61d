"""Settings: sources and their order, all mistakes at once, secrets by reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codes import raises_code
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.settings import EXPECTED, SETTINGS, load_settings, resolve_secret, variable_of

GOOD = """
[ven]
name = "site-1"
[vtn]
url = "https://vtn.example/openadr3/3.1.1"
client_id = "gw"
client_secret = "env:GW_SECRET"
poll_s = 30
"""


def line_of(text: str, start: str) -> int:
    """Return the number of the first line that starts with some text."""
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a valid settings file."""
    path = tmp_path / "ven.toml"
    path.write_text(GOOD)
    return path


def test_flags_win_over_variables_and_variables_over_the_file(file: Path) -> None:
    """The later source wins, and the origin of each value is known."""
    environment = {"VEN_VTN_POLL_S": "20", "VEN_VEN_NAME": "from-env"}

    settings = load_settings(file, environment=environment, flags={"vtn.poll_s": 10.0})

    assert settings["vtn.poll_s"] == 10.0
    assert settings.origin["vtn.poll_s"] == "command line"
    assert settings["ven.name"] == "from-env"
    assert settings.origin["ven.name"] == "environment variable VEN_VEN_NAME"
    assert settings.origin["vtn.url"] == f"{file}:{line_of(GOOD, 'url')}"
    assert settings.origin["readings.commit_s"] == "default"


def test_paths_start_at_the_folder_of_the_file(file: Path) -> None:
    """A relative path is meant from where ven.toml is, wherever the command was typed."""
    assert load_settings(file, environment={}).path("readings.path") == file.parent / "var/readings.db"


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    """Each mistake is a sentence with file, key, value and expected form; none hides another."""
    file.write_text('[vtn]\nurl = "vtn.example"\npoll_s = -1\npool_s = 5\n[log]\nlevel = "LOUD"\n')

    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})

    problems = caught.value.problems
    assert any("vtn.url = 'vtn.example'" in one and EXPECTED["url"] in one for one in problems)
    assert any("vtn.poll_s = -1" in one and EXPECTED["seconds"] in one for one in problems)
    assert any("vtn.pool_s" in one and "did you mean vtn.poll_s" in one for one in problems)
    assert any("ven.name is missing" in one for one in problems)
    assert any("log.level = 'LOUD'" in one for one in problems)
    assert all(str(file) in one for one in problems)


def test_a_vtn_without_tls_needs_the_explicit_switch(file: Path) -> None:
    """Plain http is refused unless allow_http says that this is a test."""
    file.write_text(GOOD.replace("https://", "http://"))
    with raises_code(ConfigError, "VEN-CFG-002") as caught:
        load_settings(file, environment={})
    assert "allow_http" in caught.value.problems[0]

    file.write_text(GOOD.replace("https://", "http://") + "allow_http = true\n")
    assert load_settings(file, environment={})["vtn.url"].startswith("http://")


def test_a_literal_secret_is_refused_and_not_shown(file: Path) -> None:
    """A secret in the file itself is a mistake, and the message does not repeat it."""
    file.write_text(GOOD.replace("env:GW_SECRET", "hunter2"))

    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})

    assert "vtn.client_secret" in caught.value.problems[0]
    assert "hunter2" not in "".join(caught.value.problems)


def test_a_database_url_keeps_its_password_elsewhere(file: Path) -> None:
    """A URL is not a path; a password in it is refused and not repeated, a reference to one is taken."""
    place = "postgresql://ven:{}@db/registry"
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={"VEN_REGISTRY_DATABASE": place.format("hunter2")})
    assert code_of(caught.value.problems[0]) == "VEN-CFG-013"
    assert "hunter2" not in caught.value.problems[0]

    good = load_settings(file, environment={"VEN_REGISTRY_DATABASE": place.format("env:DB_PASSWORD")})
    assert good.place("registry.database") == place.format("env:DB_PASSWORD")
    assert load_settings(file, environment={}).place("registry.database") == str(file.parent / "resources.db")


def test_secrets_come_from_variables_files_and_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of reference is resolved; a missing one names the reference only."""
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("GW_SECRET", "from-env")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert resolve_secret("env:GW_SECRET") == "from-env"
    assert resolve_secret("file:key", folder=tmp_path) == "from-file"
    assert resolve_secret("credential:key") == "from-file"
    with pytest.raises(ConfigError, match="env:NOT_THERE"):
        resolve_secret("env:NOT_THERE")


@pytest.mark.parametrize("text", ["ven.toml is not TOML [", ""])
def test_a_file_that_is_no_toml_or_empty_is_named(file: Path, text: str) -> None:
    """A broken file is reported with its name."""
    file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})

    assert str(file) in caught.value.problems[0]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """A file that is not there is named, with the way out."""
    with raises_code(ConfigError, "VEN-CFG-003"):
        load_settings(tmp_path / "none.toml", environment={})


def test_every_setting_has_help_and_a_variable_of_its_own() -> None:
    """The table is complete, and no two settings share an environment variable."""
    assert all(setting.help.endswith(".") for setting in SETTINGS)
    assert len({variable_of(setting.key) for setting in SETTINGS}) == len(SETTINGS)


MORE = """
[vtns.operator]
url = "https://operator.example/openadr3/3.1.0"
client_id = "gw-7"
client_secret = "env:OPERATOR_SECRET"
ven_name = "site-1-grid"
resources = "Grid"
"""


def test_a_further_vtn_has_its_own_account_and_state_and_shares_all_else(file: Path) -> None:
    """[vtns.NAME] takes the keys of [vtn]; what it does not say is the default, never the first VTN's."""
    file.write_text(GOOD + MORE + "[reporting]\nsettle_s = 7\n")

    settings = load_settings(file, environment={})
    own = settings.others["operator"]

    assert own["vtn.url"] == "https://operator.example/openadr3/3.1.0"
    assert (own["vtn.client_id"], own["ven.name"], own["ven.resources"]) == ("gw-7", "site-1-grid", "Grid")
    assert (own["vtn.poll_s"], own["reporting.settle_s"]) == (60.0, 7)
    assert own.path("reporting.state") == file.parent / "var/state-operator.db"
    assert settings["vtn.url"] == "https://vtn.example/openadr3/3.1.1"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[vtns.operator]\nclient_id = "a"\n', "[vtns.operator]: vtn.url is missing"),
        ('[vtns.operator]\nurl = "https://a.example"\npool_s = 3\n', "did you mean vtn.poll_s"),
        ('[vtns."Big Grid"]\nurl = "https://a.example"\n', "expected a table [vtns.NAME]"),
        ('[vtns]\nurl = "https://a.example"\n', "expected a table [vtns.NAME]"),
        ('[vtns.a]\nurl = "https://a.example"\nstate = "var/state.db"\n', "each VTN has its own"),
        ('[vtns.a]\nurl = "http://a.example"\n', "has no TLS"),
        (
            '[vtns.a]\nurl = "https://a.example"\nstate = "var/../var/state.db"\n',
            "vtns.a.state: is the file of vtn",
        ),
        (
            '[vtns.a]\nurl = "https://vtn.example/openadr3/3.1.1/"\n',
            "vtns.a.ven_name: is this VTN's VEN for vtn",
        ),
        (
            "".join(
                f'[vtns.{n}]\nurl = "https://{n}.example"\nwebhook_url = "https://me/{n}"\n' for n in "ab"
            ),
            "vtns.b.webhook_listen: is the address of vtns.a",
        ),
    ],
)
def test_mistakes_in_a_further_vtn_are_told_with_its_table(file: Path, table: str, said: str) -> None:
    """A wrong further VTN is refused as the first would be, and named."""
    file.write_text(GOOD + table)

    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})

    assert [one for one in caught.value.problems if said in one]


def test_a_webhook_without_tls_is_refused(file: Path) -> None:
    """The VTN calls us over https; plain http needs the same switch as the VTN itself."""
    file.write_text(GOOD + 'webhook_url = "http://gateway.example/hook"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})
    assert [one for one in caught.value.problems if "vtn.webhook_url" in one and "https://" in one]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('webhook_url = "https://me.example/hook"\nwebhook_listen = "8443"\n', "expected host and port"),
        ('webhook_url = "https://me.example/hook"\nwebhook_listen = "a:99999"\n', "expected host and port"),
        ('webhook_key_file = "me.key"\n', "belongs to vtn.webhook_cert_file"),
    ],
)
def test_a_webhook_that_cannot_be_served_is_told_with_all_other_mistakes(
    file: Path, lines: str, said: str
) -> None:
    """Where it listens and what it shows there is checked before anything is opened."""
    file.write_text(GOOD + lines + "pool_s = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})
    assert len(caught.value.problems) == 2
    assert [one for one in caught.value.problems if said in one]


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ('[ven]\nname = "a"\n[vtn]\nurl = \n', 4, "VEN-CFG-005"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "ftp://x"\n', 4, "VEN-CFG-009"),
        ('[ven]\nname = "a"\n\n[vtn]\nurl = "https://x"\n# no\npol_s = 5\n', 7, "VEN-CFG-006"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[zzz]\n', 5, "VEN-CFG-007"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[[resources]]\nname = "b"\n', 5, "VEN-CFG-006"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\npoll_s = "5"\n', 5, "VEN-CFG-009"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\nprograms = [\n "p",\n 5]\n', 5, "VEN-CFG-009"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\nclient_id = "c"\n', 5, "VEN-CFG-014"),
        ('[ven]\nname = "a"\n[vtn]\npoll_s = 5\n', 3, "VEN-CFG-010"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[log]\n\nlevel = "LOUD"\n', 7, "VEN-CFG-011"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[vtns.b]\npol_s = 1\n', 6, "VEN-CFG-006"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[vtns.b]\n', 5, "VEN-CFG-010"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[vtns.B]\nurl = "https://y"\n', 6, "VEN-CFG-019"),
        ('[ven]\nname = "a"\n[vtn]\nurl = "https://x"\n[vtns.b]\nurl = "https://x"\n', 5, "VEN-CFG-022"),
    ],
)
def test_a_mistake_has_its_line(file: Path, text: str, line: int, code: str) -> None:
    """Mistakes of syntax, keys, types, values and tables are named with file and line."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment={})
    mistakes = {code_of(one) or caught.value.code: str(one) for one in caught.value.problems}
    assert mistakes.get(code, "").startswith(f"{file}:{line}")


def test_bytes_that_are_no_text_have_their_line(file: Path) -> None:
    """A file in another encoding is named with the line of the first such byte."""
    file.write_bytes(b'[ven]\nname = "Bl\xe5b\xe6r"\n')
    with pytest.raises(ConfigError, match="VEN-CFG-004") as caught:
        load_settings(file, environment={})
    assert caught.value.subject == f"{file}:2"
