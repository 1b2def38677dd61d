"""VTNs on the local network: what an announcement means, and hearing one."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.client.discovery import SERVICE, FoundVtn, discover, read_announcement
from venclient.clock import SystemClock
from venclient.errors import VtnUnreachable

TXT = {
    b"version": b"3.1.0",
    b"base_path": b"openadr3/3.1.0",
    b"local_url": b"https://vtn-7.local:8443/openadr3/3.1.0",
    b"program_names": b"local-tariff, limits",
    b"requires_auth": b"True",
    b"openapi_url": b"https://vtn-7.local:8443/openapi.yaml",
}


def announced(host: str | None = "vtn-7.local.", /, **txt: str | None) -> FoundVtn:
    """Return what an announcement with other TXT members says; None leaves one out."""
    entries: dict[bytes, bytes | None] = dict(TXT)
    for key, value in txt.items():
        entries.pop(key.encode())
        if value is not None:
            entries[key.encode()] = value.encode()
    return read_announcement(f"Site VTN.{SERVICE}", host, 8443, ("192.0.2.7",), entries)


def proposed(found: FoundVtn) -> dict[str, Any]:
    """Return the table [vtn] that it proposes."""
    table: dict[str, Any] = tomllib.loads(found.settings())["vtn"]
    return table


def test_row_03_txt_members_are_read() -> None:
    """Version, address, programs, login and OpenAPI document, by their names in the standard."""
    found = announced()

    assert found == FoundVtn(
        name="Site VTN",
        url="https://vtn-7.local:8443/openadr3/3.1.0",
        version="3.1.0",
        host="vtn-7.local",
        port=8443,
        addresses=("192.0.2.7",),
        program_names=("local-tariff", "limits"),
        requires_auth=True,
        openapi_url="https://vtn-7.local:8443/openapi.yaml",
    )
    assert proposed(found) == {"url": found.url, "programs": ["local-tariff", "limits"]}
    assert "client_secret" in found.settings()


def test_row_03_the_local_name_is_preferred_to_the_address() -> None:
    """An address may change with the next lease; the .local name stays."""
    by_address = announced(local_url="https://192.0.2.7:8443/openadr3/3.1.0")
    without = announced(local_url=None)
    nameless = announced(None, local_url=None)

    assert by_address.url == without.url == "https://vtn-7.local:8443/openadr3/3.1.0"
    assert nameless.url == "https://192.0.2.7:8443/openadr3/3.1.0"


def test_plain_http_and_an_old_version_are_switched_on_explicitly() -> None:
    """The proposal says by itself what is unusual about the VTN."""
    found = announced(
        local_url="http://vtn-7.local:8080/api", base_path="api", version="3.0.1", requires_auth="False"
    )

    assert proposed(found) == {
        "url": "http://vtn-7.local:8080/api",
        "allow_http": True,
        "version": "3.0.1",
        "programs": ["local-tariff", "limits"],
    }
    assert "client_id" not in found.settings()


@pytest.mark.parametrize(
    ("members", "note"),
    [
        ({"local_url": "ftp://vtn-7.local"}, "VEN-VTN-075"),
        ({"local_url": "https://user:secret@vtn-7.local/x"}, "VEN-VTN-075"),
        ({"local_url": "https://elsewhere.example/openadr3/3.1.0"}, "is on another host than vtn-7.local"),
        ({"local_url": None, "base_path": None}, "VEN-VTN-074"),
    ],
)
def test_what_is_odd_is_said(members: dict[str, str | None], note: str) -> None:
    """A person decides; what speaks against it stands beside the proposal."""
    assert any(note in one for one in announced(**members).notes)


def test_vtn_without_any_address_proposes_nothing() -> None:
    """It is named, and that it cannot be reached."""
    found = read_announcement(f"Dark.{SERVICE}", None, None, (), {})

    assert (found.url, found.settings()) == (None, "")
    assert "VEN-VTN-073" in found.notes[0]


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(sorted(TXT)), st.one_of(st.none(), st.binary(max_size=60))),
    st.one_of(st.none(), st.text(max_size=30)),
    st.one_of(st.none(), st.integers(0, 65535)),
    st.text(max_size=40),
)
def test_any_announcement_is_survived_and_its_proposal_can_be_loaded(
    txt: dict[bytes, bytes | None], host: str | None, port: int | None, name: str
) -> None:
    """Whoever is on the network may announce anything: nothing of it breaks ven.toml or a terminal."""
    found = read_announcement(name, host, port, (), txt)

    assert found.name.isprintable()
    assert all(note.isprintable() for note in found.notes)
    if found.settings():
        assert proposed(found)["url"] == found.url


@asynccontextmanager
async def announcement(name: str, **more: Any) -> AsyncIterator[None]:
    """Announce a VTN on the loopback interface while the block runs."""
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    network = AsyncZeroconf(interfaces=["127.0.0.1"])
    info = AsyncServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=8443,
        server=f"{name}.local.",
        addresses=[socket.inet_aton("127.0.0.1")],
        properties={"version": "3.1.0", "base_path": "openadr3/3.1.0", **more},
    )
    try:
        await network.async_register_service(info, allow_name_change=False)
        yield
        await network.async_unregister_service(info)
    finally:
        await network.async_close()


@pytest.mark.peer
async def test_row_03_vtns_on_the_network_are_found() -> None:
    """Two responders on loopback are browsed and resolved, names first; nothing is connected to."""
    ours = {"vtn-a", "vtn-b"}  # other tests announce theirs, perhaps

    def both(found: Collection[FoundVtn]) -> bool:
        return ours <= {one.name for one in found if one.url}

    async with (
        announcement("vtn-a"),
        announcement("vtn-b", local_url="https://127.0.0.1:8443/openadr3/3.1.0"),
    ):
        found = await discover(SystemClock(), within_s=20, interfaces=["127.0.0.1"], enough=both)

    assert [(one.name, one.url) for one in found if one.name in ours] == [
        ("vtn-a", "https://vtn-a.local:8443/openadr3/3.1.0"),
        ("vtn-b", "https://vtn-b.local:8443/openadr3/3.1.0"),
    ]


@pytest.mark.peer
async def test_interface_that_is_not_ours_is_told() -> None:
    """A wrong --interface is a sentence."""
    with pytest.raises(VtnUnreachable, match="VEN-VTN-071"):
        await discover(SystemClock(), within_s=0.1, interfaces=["192.0.2.250"])
