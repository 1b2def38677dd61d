"""Who may do what: clients, their scopes, and the tokens they got for their secrets."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from venclient.clock import Clock
from venclient.errors import ConfigError
from venclient.messages import simulation as sim
from venclient.simulation.vtn.problems import Refusal

VEN_SCOPES = frozenset(
    {"read_targets", "read_ven_objects", "write_reports", "write_subscriptions", "write_vens"}
)
BL_SCOPES = frozenset({"read_all", "write_programs", "write_events", "write_subscriptions", "write_vens"})
ALL_SCOPES = VEN_SCOPES | BL_SCOPES

READ_SCOPE = {
    "program": "read_targets",
    "event": "read_targets",
    "report": "read_ven_objects",
    "subscription": "read_ven_objects",
    "ven": "read_ven_objects",
    "resource": "read_ven_objects",
}
WRITE_SCOPE = {
    "program": "write_programs",
    "event": "write_events",
    "report": "write_reports",
    "subscription": "write_subscriptions",
    "ven": "write_vens",
    "resource": "write_vens",
}
_TEXT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Client:
    """An account at this VTN; the secret never shows in its repr."""

    id: str
    secret: str = field(repr=False)
    scopes: frozenset[str] = VEN_SCOPES

    @property
    def is_bl(self) -> bool:
        """True for business logic: it reads everything and speaks the BL forms of ven and resource."""
        return "read_all" in self.scopes


def make_client(
    client_id: str, *, role: str = "ven", secret: str = "", scopes: Iterable[str] | None = None
) -> Client:
    """Return a client; without a secret it gets a random one, `env:NAME` is read from the environment.

    Raises ConfigError for an unknown role or scope, or a variable that is not set.
    """
    subject = f"client {client_id!r}"
    if not 1 <= len(client_id) <= 128:
        raise ConfigError(sim.CLIENT_ID_LENGTH(length=len(client_id)), subject=subject)
    defaults = {"ven": VEN_SCOPES, "bl": BL_SCOPES}
    if role not in defaults:
        raise ConfigError(sim.UNKNOWN_ROLE(role=role), subject=subject)
    wanted = defaults[role] if scopes is None else frozenset(scopes)
    if unknown := wanted - ALL_SCOPES:
        raise ConfigError(sim.UNKNOWN_SCOPES(scopes=unknown, known=ALL_SCOPES), subject=subject)
    if secret.startswith("env:"):
        name = secret.removeprefix("env:")
        secret = os.environ.get(name, "")
        if not secret:
            raise ConfigError(sim.VARIABLE_NOT_SET(name=name), subject=subject)
    return Client(client_id, secret or secrets.token_urlsafe(18), wanted)


class AuthRefusal(Exception):
    """The token endpoint says no; `error` is the code of RFC 6749, section 5.2."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class _Token:
    client: Client
    expires_s: float


class Accounts:
    """The clients and the tokens that are good now."""

    def __init__(
        self,
        clients: Iterable[Client],
        clock: Clock,
        *,
        token_lifetime_s: float = 3600,
        anonymous: bool = False,
    ) -> None:
        self.clients = {client.id: client for client in clients}
        self.token_lifetime_s = token_lifetime_s
        self.issued = 0
        """Tokens given out so far."""
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._anonymous = Client("anonymous", "") if anonymous else None

    def expire_all(self) -> None:
        """Make every token that was given out bad from now on."""
        self._tokens.clear()

    def issue(self, body: bytes) -> dict[str, object]:
        """Return the answer to a form of the client credentials flow; raises AuthRefusal."""
        form = self._read_form(body)
        if form["grant_type"] != "client_credentials":
            raise AuthRefusal(400, "unsupported_grant_type", "grant_type must be client_credentials")
        client = self.clients.get(form["client_id"])
        given = form["client_secret"].encode()
        if client is None or not hmac.compare_digest(given, client.secret.encode()):
            raise AuthRefusal(401, "invalid_client", "unknown client_id or wrong client_secret")
        wanted = frozenset(form.get("scope", "").split()) or client.scopes
        if extra := wanted - client.scopes:
            raise AuthRefusal(400, "invalid_scope", f"this client has no scope {', '.join(sorted(extra))}")
        now_s = self._clock.monotonic()
        self._tokens = {text: token for text, token in self._tokens.items() if token.expires_s > now_s}
        text = secrets.token_urlsafe(24)
        self._tokens[text] = _Token(Client(client.id, "", wanted), now_s + self.token_lifetime_s)
        self.issued += 1
        return {
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": int(self.token_lifetime_s),
            "scope": " ".join(sorted(wanted)),
        }

    def identify(self, authorization: str | None) -> Client:
        """Return the client that an Authorization header stands for; raises Refusal (401)."""
        if authorization is None:
            if self._anonymous is not None:
                return self._anonymous
            raise Refusal(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        scheme, _, text = authorization.partition(" ")
        token = self._tokens.get(text.strip()) if scheme.lower() == "bearer" else None
        if token is None or token.expires_s <= self._clock.monotonic():
            raise Refusal(
                401,
                "the token is unknown or expired",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return token.client

    @staticmethod
    def _read_form(body: bytes) -> dict[str, str]:
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
        except ValueError:
            raise AuthRefusal(400, "invalid_request", "the body is no UTF-8 form") from None
        form = dict(pairs)
        if len(form) != len(pairs):
            raise AuthRefusal(400, "invalid_request", "a parameter is repeated")
        for name in ("grant_type", "client_id", "client_secret"):
            if not form.get(name):
                raise AuthRefusal(400, "invalid_request", f"{name} is missing")
        for name, value in form.items():
            if len(value) > _TEXT_MAX:
                raise AuthRefusal(
                    400, "invalid_request", f"{name[:40]} is longer than {_TEXT_MAX} characters"
                )
        return form


def demand(client: Client, *scopes: str) -> None:
    """Return when the client has one of the scopes; raises Refusal (403)."""
    if client.scopes.isdisjoint(scopes):
        raise Refusal(403, f"this needs the scope {' or '.join(scopes)}")
