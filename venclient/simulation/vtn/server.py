"""`LocalVtn`: the VTN on a real socket, inside the caller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from venclient.clock import Clock, SystemClock
from venclient.errors import ConfigError
from venclient.messages import simulation as sim
from venclient.simulation.vtn.app import build_app
from venclient.simulation.vtn.auth import Accounts, Client, make_client
from venclient.simulation.vtn.fault_plan import Act
from venclient.simulation.vtn.faults import TRANSPORT, Exchange, Fault, FaultyApp
from venclient.simulation.vtn.old_face import OldFace
from venclient.simulation.vtn.push import Notifier, Push
from venclient.simulation.vtn.schema import read_body
from venclient.simulation.vtn.seed import add, plant, read_client, read_seed
from venclient.simulation.vtn.service import OnChange, Service
from venclient.simulation.vtn.store import KINDS, Store

BASE_PATH = "/openadr3/3.1.1"
BASE_PATH_301 = "/openadr3/3.0.1"


class LocalVtn:
    """An OpenADR 3.1 VTN on loopback: `async with LocalVtn() as vtn: ... vtn.url ...`.

    `port` 0 takes a free one, and keeps it over `stop` and `start`. `seed` is a file or mapping (see
    the seed module), `clients` are accounts as a seed has them, `state` is a file that keeps objects
    between runs, `anonymous` admits VENs without a token, `strict_targets` is the strict reading of
    listings without `targets=`, `newest_first` the order in which pages drift when objects come, and
    `unique_report_names` refuses a report name that is taken. `etags` answers 304 to who knows a listing
    already; `push` says how changes are announced. Raises ConfigError for a bad seed or a port that is taken.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        base_path: str | None = None,
        version: Literal["3.1", "3.0.1"] = "3.1",
        seed: Path | Mapping[str, Any] | None = None,
        clients: Iterable[Mapping[str, Any]] | None = None,
        state: Path | None = None,
        clock: Clock | None = None,
        strict_targets: bool = False,
        anonymous: bool = False,
        token_lifetime_s: float = 3600,
        newest_first: bool = False,
        unique_report_names: bool = False,
        etags: bool = True,
        push: Push | None = None,
        on_change: OnChange | None = None,
    ) -> None:
        self.host = host
        self.port = port
        base_path = (BASE_PATH if version == "3.1" else BASE_PATH_301) if base_path is None else base_path
        self.base_path = "/" + base_path.strip("/") if base_path.strip("/") else ""
        self._old = version == "3.0.1"
        self.clock = clock or SystemClock()
        self._seed = read_seed({} if seed is None and clients is not None else seed)
        acts: dict[Act, Callable[[], object]] = {"drift": self.drift, "expire_tokens": self.expire_tokens}
        self.faults: list[Fault] = [planned.armed(acts) for planned in self._seed.faults]
        """Consulted in order for each request; the first that strikes is the one."""
        self.exchanges: list[Exchange] = []
        """Every request so far, oldest first."""
        self._state = state
        self._strict_targets = strict_targets
        self._on_change = on_change
        self._rules = {"newest_first": newest_first, "unique_report_names": unique_report_names}
        self._etags = etags
        self._push = push or Push()
        self._notifying: asyncio.Task[None] | None = None
        self.notifier: Notifier | None = None
        self.accounts = Accounts(
            (*self._seed.clients, *map(read_client, clients or ())),
            self.clock,
            token_lifetime_s=token_lifetime_s,
            anonymous=anonymous,
        )
        self._service: Service | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the store, plant the seed and serve."""
        store = Store(self.clock.now, self._state)
        self._service = Service(
            store,
            self.clock,
            strict_targets=self._strict_targets,
            on_change=self._on_change,
            **self._rules,
        )
        self._service.private = not self._old
        self.notifier = Notifier(self._service, self._push)
        try:
            plant(self._seed, self._service, self.clock.now())
            if self._push.offers_any:
                await self.notifier.open()
                self._service.on_record = self.notifier.announce
                self._notifying = asyncio.create_task(self.notifier.run(), name="vtn notifies")
            await self.start()
        except BaseException:
            await self._stop_notifying()
            store.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and close the store; objects stay readable."""
        try:
            await self.stop()
            await self._stop_notifying()
        finally:
            self.service.store.close()

    async def _stop_notifying(self) -> None:
        if self._notifying is not None:
            self._notifying.cancel()
            await asyncio.gather(self._notifying, return_exceptions=True)
            self._notifying = None
        if self.notifier is not None:
            await self.notifier.close()

    @property
    def url(self) -> str:
        """Return the URL that a VEN is configured with, base path included."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.base_path}"

    @property
    def service(self) -> Service:
        """Return the rules and the store behind the API."""
        if self._service is None:
            raise RuntimeError("this LocalVtn was not entered: use `async with`")
        return self._service

    @property
    def app(self) -> FaultyApp:
        """Return a new ASGI application of this VTN, faults included."""
        assert self.notifier is not None  # noqa: S101  for the type checker; made when it was entered
        etags = self._etags and not self._old  # of bodies that are translated on the way out
        app: Any = build_app(self.service, self.accounts, self.base_path, self.notifier, etags=etags)
        if self._old:
            app = OldFace(app, self.base_path, self.service)
        return FaultyApp(app, self.base_path, self.faults, self.clock, self.exchanges)

    @property
    def clients(self) -> dict[str, Client]:
        """Return the accounts by client id; `vtn.clients["ven-1"].secret` is what its VEN needs."""
        return self.accounts.clients

    @property
    def programs(self) -> list[dict[str, Any]]:
        """Return all programs as the API would, oldest first."""
        return self._all("program")

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return all events as the API would, oldest first."""
        return self._all("event")

    @property
    def reports(self) -> list[dict[str, Any]]:
        """Return all accepted reports as the API would, oldest first."""
        return self._all("report")

    @property
    def vens(self) -> list[dict[str, Any]]:
        """Return all ven objects as the API would, oldest first."""
        return self._all("ven")

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Return all resource objects as the API would, oldest first."""
        return self._all("resource")

    def add_client(
        self, client_id: str, *, role: str = "ven", secret: str = "", scopes: Iterable[str] | None = None
    ) -> Client:
        """Make an account (role `ven` or `bl`) or replace it; without a secret it gets a random one."""
        client = make_client(client_id, role=role, secret=secret, scopes=scopes)
        self.accounts.clients[client.id] = client
        return client

    def add_program(self, content: Mapping[str, Any], *, object_id: str = "") -> dict[str, Any]:
        """Store a program request as business logic would; gives the program. Raises Refusal."""
        return add(self.service, "program", content, object_id)

    def add_event(self, content: Mapping[str, Any], *, object_id: str = "") -> dict[str, Any]:
        """Store an event request as business logic would; gives the event. Raises Refusal."""
        return add(self.service, "event", content, object_id)

    def change_event(self, event_id: str, **members: Any) -> dict[str, Any]:
        """Replace members of an event (wire names) as a PUT would; gives the event. Raises Refusal."""
        record = self.service.store.get("event", event_id)
        if record is None:
            raise LookupError(f"there is no event {event_id}")
        content = read_body("event", msgspec.json.encode({**record.content, **members}), is_bl=True)
        self.service.require_program(content["programID"])
        changed = self.service.store.update(record, content)
        self.service.note("UPDATE", changed)
        return changed.wire()

    def delete_event(self, event_id: str) -> None:
        """Withdraw an event; its reports stay. Raises LookupError when there is none."""
        record = self.service.store.get("event", event_id)
        if record is None:
            raise LookupError(f"there is no event {event_id}")
        self.service.forget(record)

    def grant(self, object_id: str, *targets: str) -> None:
        """Set the targets of a ven or resource, as business logic does. Raises LookupError."""
        for kind in ("ven", "resource"):
            record = self.service.store.get(kind, object_id)
            if record is not None:
                changed = self.service.store.update(record, {**record.content, "targets": list(targets)})
                self.service.note("UPDATE", changed)
                return
        raise LookupError(f"there is no ven or resource {object_id}")

    def drift(self) -> None:
        """Move the oldest object of each kind to the end of its listing, as it is: pages shift by one."""
        for kind in KINDS:
            for record in islice(self.service.store.find(kind), 1):
                self.service.store.remove(record)
                self.service.store.put(record)

    def expire_tokens(self) -> None:
        """Make every token given out so far bad; new ones can be had."""
        self.accounts.expire_all()

    async def start(self) -> None:
        """Serve on `port`; entered LocalVtns do already. Raises ConfigError when the port is taken."""
        if self._serving is not None:
            return
        app = self.app
        listener = self._listen()
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="websockets-sansio" if self._push.websocket else "none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_keep_alive=60,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name=f"vtn[{self.port}]")
        while not self._server.started:
            if self._serving.done():
                await self._serving
                raise ConfigError(sim.VTN_ENDED(), subject=self.url)
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Be down: refuse connections and cut those that are open, until `start`."""
        server, serving = self._server, self._serving
        if server is None or serving is None:
            return
        self._server = self._serving = None
        server.should_exit = True
        server.force_exit = True  # waits for no client: idle ones keep their connections for a minute
        for connection in list(server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        tasks = list(server.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await serving

    def _all(self, kind: str) -> list[dict[str, Any]]:
        return [record.wire() for record in self.service.store.find(kind)]

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # the protocol is named because asyncio sets TCP_NODELAY only where it is, and answers wait 40 ms else
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            # a port whose last connections are still in TIME_WAIT may be taken again
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(512)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise ConfigError(
                sim.CANNOT_LISTEN(host=self.host, port=self.port, reason=error.strerror), subject="local VTN"
            ) from None
        self.port = listener.getsockname()[1]
        return listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the program that we are part of."""
        yield


class _Protocol(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the application reach the transport, to allow a fault to cut it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}
