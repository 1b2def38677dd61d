"""A VTN for each test, with an operator at it, a site with meters, and a gateway that is not started yet."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.interop.business import Business
from tests.interop.site import SECRET, Gateway, Meter, Site, running
from tests.interop.stack import Database, OpenLeadr, database, find_vtn
from tests.interop.tap import Tap
from venclient.client import VenClient, VtnAccount
from venclient.clock import SystemClock

HERE = Path(__file__).parent
#: How long the journey against OpenLEADR goes on, in minutes.
JOURNEY_MIN = float(os.environ.get("VEN_INTEROP_MINUTES", "3"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs OpenLEADR, and give real processes their time."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("interop")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give the database server of all VTNs."""
    find_vtn()
    with database(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture
def vtn(postgres: Database) -> Iterator[OpenLeadr]:
    """Give a VTN with nothing in it but the operator's login."""
    program = find_vtn()
    with OpenLeadr(program, postgres.fresh(program), {}) as served:
        yield served


@pytest.fixture
def business(vtn: OpenLeadr) -> Iterator[Business]:
    """Give the operator, who has let the client "interop" in."""
    operator = Business(vtn.url)
    operator.add_client("interop", SECRET)
    yield operator
    operator.close()


@pytest.fixture
async def tap(vtn: OpenLeadr) -> AsyncIterator[Tap]:
    """Give a tap on the line to the VTN."""
    async with Tap(vtn.port) as line:
        yield line


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site of three meters of 36, 72 and 108 kW that write while the test runs."""
    made = Site(tmp_path, [Meter(tmp_path, n, 36.0 * n) for n in (1, 2, 3)])
    async with running(made):
        yield made


@pytest.fixture
async def gateway(tmp_path: Path, site: Site, vtn: OpenLeadr, business: Business) -> AsyncIterator[Gateway]:
    """Give a gateway that is not started yet; it is ended with the test."""
    made = Gateway(tmp_path, vtn.url)
    yield made
    if made.process is not None and made.process.returncode is None:
        await made.stop()


@pytest.fixture
async def client(vtn: OpenLeadr, business: Business) -> AsyncIterator[VenClient]:
    """Give the product's client, with the login "interop"."""
    async with VenClient(account(vtn.url), SystemClock()) as made:
        yield made


def account(
    url: str, *, secret: str = SECRET, token_url: str | None = None, client_id: str = "interop"
) -> VtnAccount:
    """Give an account at a VTN, of the login "interop" unless told."""
    return VtnAccount(
        url=url, client_id=client_id, client_secret=secret, token_url=token_url, allow_http=True
    )
