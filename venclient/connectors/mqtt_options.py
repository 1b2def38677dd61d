"""What an MQTT connection may say, and everything that can be wrong with it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.mistakes import Mistakes, shown
from venclient.connectors.mqtt_beacon import Birth, KeepAlive
from venclient.connectors.mqtt_inbox import Endpoint
from venclient.connectors.mqtt_topics import filter_mistakes, match_mistakes
from venclient.connectors.payload import PLAIN_KW, TimeOptions, ValueOptions
from venclient.connectors.units import repeated_quantities
from venclient.messages import connectors as con
from venclient.messages import mqtt as mqt
from venclient.model.resource import Connection

DEFAULT_PORT = 1883
DEFAULT_TLS_PORT = 8883


class MqttOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an MQTT connection says beyond host, port, topic and login.

    `match` and `level` choose this resource's messages of a topic with wildcards. `timeout_s` is how long a
    broker may be unreachable at the start before the resource counts as dark, `silence_s` how long nothing
    may come (0: for ever).
    """

    values: Annotated[tuple[ValueOptions, ...], Meta(min_length=1)] = (PLAIN_KW,)
    time: TimeOptions = TimeOptions()
    match: str | None = None
    level: Annotated[int, Meta(ge=1, le=1000)] | None = None
    qos: Literal[0, 1, 2] = 1
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    tls: bool = False
    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    silence_s: Annotated[float, Meta(ge=0, le=31 * 86_400)] = 900.0
    keep_alive: KeepAlive | None = None
    birth: Birth | None = None

    def __post_init__(self) -> None:
        problems = repeated_quantities([value.quantity for value in self.values])
        if self.qos == 2:
            problems.append(mqt.QOS_2())
        files = [name for name in ("ca_file", "cert_file", "key_file") if getattr(self, name) is not None]
        if not self.tls and (files or not self.verify):
            problems.append(mqt.TLS_ONLY(names=files + ([] if self.verify else ["verify"])))
        if self.key_file is not None and self.cert_file is None:
            problems.append(mqt.KEY_ALONE())
        problems += [] if self.match is None else match_mistakes(self.match)
        if problems:
            raise Mistakes(problems)


class _TidySocket(ssl.SSLSocket):
    """A TLS socket that is closed when the other side is not trusted; paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def place_mistakes(connection: Connection) -> list[str]:
    """Return one sentence per mistake in host, port, topic and login."""
    problems: list[str] = []
    host = (connection.host or "").strip()
    if not host:
        problems.append(con.HOST_MISSING(device="broker"))
    else:
        try:
            host.encode("idna")
        except UnicodeError:
            problems.append(mqt.HOST(host=shown(host)))
    if connection.port is not None and not 1 <= connection.port <= 65535:
        problems.append(con.PORT(port=connection.port))
    problems += filter_mistakes(connection.topic or "")
    if connection.password and not connection.username:
        problems.append(mqt.PASSWORD_ALONE())
    return problems


def endpoint_of(connection: Connection, options: MqttOptions) -> Endpoint:
    """Return where the broker of a connection is."""
    tls = (options.verify, options.ca_file, options.cert_file, options.key_file) if options.tls else None
    return Endpoint(
        host=(connection.host or "").strip().lower(),
        port=connection.port or (DEFAULT_TLS_PORT if options.tls else DEFAULT_PORT),
        username=connection.username,
        password=connection.password,
        protocol=options.protocol,
        tls=tls,
    )


def tls_context(options: MqttOptions, folder: Path) -> tuple[ssl.SSLContext | None, list[str]]:
    """Return the TLS settings, and what is wrong with the files that they name (relative to `folder`)."""
    if not options.tls:
        return None, []
    context = ssl.create_default_context()
    context.sslsocket_class = _TidySocket
    problems: list[str] = []
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.ca_file is not None:
        try:
            context.load_verify_locations(folder / options.ca_file)
        except (OSError, ssl.SSLError) as error:
            problems.append(mqt.CA_FILE(path=folder / options.ca_file, error=error))
    if options.cert_file is not None:
        key_file = None if options.key_file is None else folder / options.key_file
        try:
            # The empty password makes a locked key an error and not a question on the terminal.
            context.load_cert_chain(folder / options.cert_file, key_file, password="")
        except (OSError, ssl.SSLError) as error:
            problems.append(mqt.CERT_FILE(path=folder / options.cert_file, error=error))
    return context, problems
