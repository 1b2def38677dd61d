"""A VTN for each test, with an operator at it, a site with meters, and a gateway that is not started yet.

A test that asks for `vtn` (or for what needs it) runs against each kind of VTN of KINDS; the marker
`only("openadr")` names the kinds that a test is about.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.recorder import KINDS
from tests.interop.business import Business
from tests.interop.crate_vtn import CrateVtn, find_crate
from tests.interop.openleadr_vtn import Database, OpenLeadr, database, find_openleadr
from tests.interop.site import Gateway, Meter, Site, running
from tests.interop.tap import Tap
from tests.interop.vtn import SECRET, Vtn
from tests.peers import mosquitto, pick_port
from venclient.client import VenClient, VtnAccount
from venclient.clock import SystemClock

HERE = Path(__file__).parent
#: How long the journey against each VTN goes on, in minutes.
JOURNEY_MIN = float(os.environ.get("VEN_INTEROP_MINUTES", "3"))

MakeVtn = Callable[..., Vtn]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real VTNs, and give real processes their time."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("interop")
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test against each kind of VTN, or those that its marker names."""
    if "kind" in metafunc.fixturenames:
        about = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("kind", KINDS if about is None else about.args)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return the database server of all OpenLEADR VTNs."""
    find_openleadr()
    with database(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture
def make_vtn(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> MakeVtn:
    """Return what makes a VTN of the kind; only the crate's takes options, and a switch for its logins."""

    def make(*options: str, broker: int | None = None, own_logins: bool = True) -> Vtn:
        if kind == "openadr":
            folder = tmp_path / "vtn"
            return CrateVtn(find_crate(), folder, *options, broker=broker, own_logins=own_logins)
        assert not options, "OpenLEADR takes no options"
        program = find_openleadr()
        server: Database = request.getfixturevalue("postgres")
        return OpenLeadr(program, server, server.fresh(program), broker)

    return make


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """Return the port of a mosquitto that the VTN publishes to."""
    port = pick_port()
    with mosquitto(tmp_path / "broker", port):
        yield port


@pytest.fixture
def vtn(request: pytest.FixtureRequest, make_vtn: MakeVtn) -> Iterator[Vtn]:
    """Return a VTN with nothing in it but the operator's login; it publishes where the test has a broker."""
    port = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    with make_vtn(broker=port) as served:
        yield served


@pytest.fixture
def business(vtn: Vtn) -> Iterator[Business]:
    """Return the operator, who has let the client "interop" in."""
    vtn.let_in("interop", SECRET)
    operator = Business(vtn.url)
    yield operator
    operator.close()


@pytest.fixture
async def tap(vtn: Vtn) -> AsyncIterator[Tap]:
    """Return a tap on the line to the VTN."""
    async with Tap(vtn.port, vtn.base) as line:
        yield line


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Return a site of three meters of 36, 72 and 108 kW that write while the test runs."""
    made = Site(tmp_path, [Meter(tmp_path, n, 36.0 * n) for n in (1, 2, 3)])
    async with running(made):
        yield made


@pytest.fixture
async def gateway(tmp_path: Path, site: Site, vtn: Vtn, business: Business) -> AsyncIterator[Gateway]:
    """Return a gateway that is not started yet; it is ended with the test."""
    made = Gateway(tmp_path, vtn.url)
    yield made
    if made.process is not None and made.process.returncode is None:
        await made.stop()


@pytest.fixture
async def client(vtn: Vtn, business: Business) -> AsyncIterator[VenClient]:
    """Return the product's client, with the login "interop"."""
    async with VenClient(account(vtn.url), SystemClock()) as made:
        yield made


def account(
    url: str, *, secret: str = SECRET, token_url: str | None = None, client_id: str = "interop"
) -> VtnAccount:
    """Return an account at a VTN, with the login "interop" by default."""
    return VtnAccount(
        url=url, client_id=client_id, client_secret=secret, token_url=token_url, allow_http=True
    )
