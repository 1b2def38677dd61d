"""The account that settings describe: version, scope, certificates, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.codes import raises_code
from venclient.client import VtnAccount
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.settings import load_settings
from venclient.vtn_link import account_of


def account(folder: Path, **vtn: Any) -> VtnAccount:
    """Return the account of a settings file whose [vtn] has these members."""
    file = folder / "ven.toml"
    lines = [
        f"{key} = {value!r}".replace("True", "true").replace("False", "false") for key, value in vtn.items()
    ]
    address = "" if "url" in vtn else 'url = "https://vtn.example"'
    file.write_text("\n".join(['[ven]\nname = "gw"\n[vtn]', address, *lines]))
    return account_of(load_settings(file, environment={}))


def test_row_01_settings_make_the_account(tmp_path: Path) -> None:
    """Whatever may be set of a VTN is in its account; paths start at the file's folder."""
    made = account(
        tmp_path, version="3.0.1", scope="read_all", verify=False, cert_file="c.pem", key_file="k.pem"
    )

    assert (made.version, made.scope, made.verify) == ("3.0.1", "read_all", False)
    assert (made.cert_file, made.key_file) == (tmp_path / "c.pem", tmp_path / "k.pem")


def test_row_04_certificates_are_verified_unless_switched_off(tmp_path: Path) -> None:
    """Nothing set: verified, and the version is found out."""
    made = account(tmp_path)

    assert made.verify
    assert made.version == "probe"
    assert made.cert_file is None


def test_row_01_a_changed_file_makes_another_account(tmp_path: Path) -> None:
    """Address and identity are what the file says when it is read."""
    (tmp_path / "secret").write_text("one")
    first = account(tmp_path, client_id="a", client_secret="file:secret")
    (tmp_path / "secret").write_text("two")
    second = account(tmp_path, client_id="b", client_secret="file:secret", url="https://other.example/3.1.0")

    assert (first.client_id, first.client_secret, first.url) == ("a", "one", "https://vtn.example")
    assert (second.client_id, second.client_secret) == ("b", "two")
    assert second.url == "https://other.example/3.1.0"


def test_row_05_a_key_may_be_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """credential:NAME is a file in the folder that systemd gives; without one that is said."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with raises_code(ConfigError, "VEN-SEC-010"):
        account(tmp_path, cert_file="c.pem", key_file="credential:vtn-key")

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    made = account(tmp_path, cert_file="c.pem", key_file="credential:vtn-key")

    assert made.key_file == tmp_path / "given" / "vtn-key"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"version": "2.0"}, "vtn.version = '2.0': expected probe or 3.1 or 3.0.1"),
        ({"key_file": "k.pem"}, "vtn.key_file belongs to vtn.cert_file"),
        ({"location_order": "north"}, "expected lon_lat or lat_lon"),
        ({"verify": "no"}, "expected true or false"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_expected(
    tmp_path: Path, members: dict[str, Any], said: str
) -> None:
    """Each mistake names the setting, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        account(tmp_path, **members)

    assert any(said in problem for problem in caught.value.problems)


def test_a_bearer_token_is_kept_where_the_settings_say(tmp_path: Path) -> None:
    """vtn.token is a reference; with a login beside it the settings are refused."""
    (tmp_path / "token").write_text("abc.def\n")
    made = account(tmp_path, token="file:token")

    assert (made.token, made.client_id) == ("abc.def", None)
    with pytest.raises(ConfigError) as caught:
        account(tmp_path, token="file:token", client_id="a", client_secret="file:token")
    assert "VEN-CFG-070" in [code_of(one) for one in caught.value.problems]
