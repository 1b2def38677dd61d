"""Accounts: checked when made, secrets hidden, TLS as strict as the standard wants."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.client.fake_vtn import SECRET
from venclient.client import VtnAccount
from venclient.errors import ConfigError


def test_row_14_the_secret_is_not_in_repr() -> None:
    """Neither repr nor str of an account shows the secret."""
    account = VtnAccount(url="https://vtn.example", client_id="gw", client_secret=SECRET)

    assert SECRET not in f"{account!r} {account}"


def test_trailing_slashes_do_not_matter() -> None:
    """The same VTN with and without slash at its end is one account."""
    assert VtnAccount(url="https://vtn.example/3.1/ ") == VtnAccount(url="https://vtn.example/3.1")


@pytest.mark.parametrize("url", ["http://vtn.example", "http://127.0.0.1:8080", "http://localhost"])
def test_plain_http_needs_the_switch(url: str) -> None:
    """Without TLS nothing is sent unless that was explicitly allowed, on loopback as well."""
    with pytest.raises(ConfigError, match="allow_http"):
        VtnAccount(url=url)

    assert VtnAccount(url=url, allow_http=True).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "vtn.example",
        "ftp://vtn.example",
        "https://",
        "https://vtn.example/?a=1",
        "https://u:p@vtn.example",
        "https://vtn.example:port",
        "https://[::1",
    ],
)
def test_a_wrong_address_is_named(url: str) -> None:
    """An invalid address, or one that hides credentials, is refused with the setting's name."""
    with pytest.raises(ConfigError, match=r"vtn\.url"):
        VtnAccount(url=url)


def test_all_mistakes_are_told_at_once() -> None:
    """A wrong address, a missing secret and a wrong time-out make three problems."""
    with pytest.raises(ConfigError) as caught:
        VtnAccount(url="nowhere", token_url="http://x", client_id="gw", timeout_s=0)

    assert len(caught.value.problems) == 4


def test_row_06_tls_1_2_is_the_least() -> None:
    """The context verifies, checks the host name, and offers nothing older than TLS 1.2."""
    context = VtnAccount(url="https://vtn.example").tls_context()

    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_row_05_verification_can_be_switched_off() -> None:
    """With verify=False any certificate will do, and TLS 1.2 stays the least."""
    context = VtnAccount(url="https://vtn.example", verify=False).tls_context()

    assert context.verify_mode == ssl.CERT_NONE
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_an_unreadable_authority_file_is_named(tmp_path: Path) -> None:
    """A missing or wrong ca_file raises a ConfigError with its path."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")

    for path in (wrong, tmp_path / "absent.pem"):
        with pytest.raises(ConfigError, match=path.name):
            VtnAccount(url="https://vtn.example", ca_file=path).tls_context()
