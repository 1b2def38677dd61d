"""Why a PostgreSQL server could not be used: by SQLSTATE and by what it answers, never by its words.

The words of a server are in the language that it is set to. libpq keeps the SQLSTATE of a failed connection
to itself, but shows it in place of the words when asked to; psycopg has no call for that, and documents
`pgconn_ptr` for it.
"""

from __future__ import annotations

import ctypes
import re
import select
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import conninfo
from psycopg.pq import PGconn, Ping, PollingStatus

from venclient.errors import RegistryError
from venclient.messages import registry as reg
from venclient.messages import registry_files as dbf
from venclient.messages import text_of

CONNECT_TIMEOUT_S = 10

#: Classes of SQLSTATE that may pass by waiting: connection lost, out of something, intervention of an
#: operator (starting up, shutting down), system error, internal error.
_PASSING = ("08", "53", "57", "58", "XX")
#: Classes of "out of something": connections, memory.
_FULL = "53"
_WITH_TLS = ("require", "verify-ca", "verify-full")
_SQLSTATE_ONLY = 3  # PQERRORS_SQLSTATE of libpq-fe.h
_STATE = re.compile(r":  ([0-9A-Z]{5})$", re.MULTILINE)
_MAPS = Path("/proc/self/maps")
#: A file that cannot be there: without root certificates libpq encrypts, and checks no certificate.
_NO_FILE = "/dev/null/none"


def may_pass(sqlstate: str | None) -> bool:
    """Return whether waiting may help; without a SQLSTATE the server did not answer at all."""
    return sqlstate is None or sqlstate.startswith(_PASSING)


def reason_of(error: psycopg.Error) -> str:
    """Return what the server or libpq said, on one line and without the rows that it may quote."""
    return error.diag.message_primary or " ".join(text_of(error).split())


def refused_connection(error: psycopg.Error, dsn: str, subject: str) -> RegistryError:
    """Return why a connection failed; it is transient only when the server may serve us later.

    The server is asked again, up to four times: for the SQLSTATE, and without one whether it answers at all,
    without TLS, and with TLS whose certificate is not checked.
    """
    attempt = _attempt(dsn)
    reason = reason_of(error)
    if attempt.states:
        if any(state.startswith(_FULL) for state in attempt.states):
            return RegistryError(reg.POSTGRES_FULL(reason=reason), subject=subject, transient=True)
        passing = any(map(may_pass, attempt.states))
        message = dbf.SERVER_AWAY if passing else dbf.SERVER_REFUSED
        return RegistryError(message(reason=reason), subject=subject, transient=passing)
    if _answers(dsn):  # what failed is on this side, such as a password that is missing
        return RegistryError(dbf.SERVER_REFUSED(reason=reason), subject=subject)
    if attempt.sslmode in _WITH_TLS and _answers(_probe(dsn, sslmode="disable")):
        return RegistryError(_tls_message(dsn, attempt.sslmode)(reason=reason), subject=subject)
    return RegistryError(dbf.SERVER_AWAY(reason=reason), subject=subject, transient=True)


class _Attempt(NamedTuple):
    """What a failed connection says: the SQLSTATEs of the server's refusals, and the `sslmode` in effect."""

    states: list[str]
    sslmode: str


def _attempt(dsn: str) -> _Attempt:
    """Connect once more, with SQLSTATEs in place of words; no states when the server sent none."""
    connection: Any = PGconn.connect_start(dsn.encode())
    try:
        options = {one.keyword: one.val for one in connection.info}
        sslmode = (options.get(b"sslmode") or b"").decode()
        set_verbosity = _set_verbosity()
        if set_verbosity is None or connection.pgconn_ptr is None:
            return _Attempt([], sslmode)
        set_verbosity(connection.pgconn_ptr, _SQLSTATE_ONLY)
        _poll(connection)
        return _Attempt(_STATE.findall(connection.error_message.decode("utf-8", "replace")), sslmode)
    except psycopg.Error:  # it has no socket: nothing listens there
        return _Attempt([], "")
    finally:
        connection.finish()


def _poll(connection: Any) -> None:
    """Bring a connection that was started to its end, good or bad."""
    state = PollingStatus.WRITING
    while state in (PollingStatus.READING, PollingStatus.WRITING):
        waiting = [connection.socket]
        reads = state == PollingStatus.READING
        ready = select.select(waiting if reads else [], [] if reads else waiting, [], CONNECT_TIMEOUT_S)
        if not any(ready):
            return
        state = PollingStatus(connection.connect_poll())


def _answers(dsn: str) -> bool:
    """Return whether a server answers, even if it rejects the login."""
    return Ping(PGconn.ping(dsn.encode())) in (Ping.OK, Ping.REJECT)


def _probe(dsn: str, **others: str) -> str:
    """Return a DSN for the same server without the login, which must not go over a line in the clear."""
    parts: dict[str, Any] = conninfo.conninfo_to_dict(dsn)
    return conninfo.make_conninfo(**(parts | {"user": "probe", "password": "none"} | others))


def _tls_message(dsn: str, sslmode: str) -> Callable[..., str]:
    """Return the message about a server that answers without TLS, but not with the TLS that is asked for."""
    if not _answers(_probe(dsn, sslmode="require", sslrootcert=_NO_FILE)):
        return reg.POSTGRES_NO_TLS
    if sslmode == "verify-full" and _answers(_probe(dsn, sslmode="verify-ca")):
        return reg.POSTGRES_NAME
    return reg.POSTGRES_CERTIFICATE


@cache
def _set_verbosity() -> Callable[[int, int], object] | None:
    """Return PQsetErrorVerbosity of the libpq that psycopg uses; None when that one is not certain.

    Another libpq in the same process may lay out its connections otherwise.
    """
    try:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[5] for line in lines if "/libpq" in line and ".so" in line}
    if psycopg.pq.__impl__ == "binary":
        paths = {path for path in paths if "psycopg_binary" in path}
    if len(paths) != 1:
        return None
    try:
        function = ctypes.CDLL(paths.pop()).PQsetErrorVerbosity
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return function
