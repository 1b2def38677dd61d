"""An account at a VTN: where it is, who we are there, and how its identity is checked."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from venclient.client.dialect import PROBE, V3_1, VERSIONS
from venclient.client.limits import Limits
from venclient.errors import ConfigError
from venclient.messages import client as vtn
from venclient.messages.printable import foreign

_TOKEN = re.compile(r"[\x21-\x7e]+")


def is_token(text: str) -> bool:
    """Return whether a text can be sent as a bearer token: visible ASCII characters only."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class VtnAccount:
    """One VTN as one client knows it; checked when made, secrets kept out of `repr`.

    `url` is the VTN's base with its version path. Without `client_id` no token is asked for; `token`
    is one that the VTN's operator gave, sent as it is.
    `ca_file` (PEM) replaces the system's authorities; `verify=False` accepts any certificate and is
    for tests. `cert_file` and `key_file` are our own certificate, for VTNs that ask for one.
    `version` is "3.1", "3.0.1" or "probe", which finds it out with the first request. `timeout_s`
    bounds one request, in seconds; `retries` how often it is repeated; `limits` what is read of responses.
    """

    url: str
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    token_url: str | None = None
    scope: str | None = None
    token: str | None = field(default=None, repr=False)
    allow_http: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True
    version: str = V3_1.version
    timeout_s: float = 10.0
    retries: int = 3
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.strip().rstrip("/"))
        problems: list[str] = [*self._address_problems("vtn.url", self.url)]
        if self.token_url is not None:
            problems += self._address_problems("vtn.token_url", self.token_url)
        if self.client_id is not None and self.client_secret is None:
            problems.append(vtn.SECRET_MISSING())
        if self.client_id is not None and self.token is not None:
            problems.append(vtn.TOKEN_AND_LOGIN())
        if self.token is not None and not is_token(self.token):
            problems.append(vtn.BAD_TOKEN().within("vtn.token: "))
        if self.key_file is not None and self.cert_file is None:
            problems.append(vtn.CERT_MISSING())
        if self.version != PROBE and self.version not in VERSIONS:
            problems.append(vtn.VERSION(version=self.version, known=f"{', '.join(VERSIONS)} or {PROBE}"))
        if self.timeout_s <= 0:
            problems.append(vtn.TIMEOUT(seconds=self.timeout_s))
        if problems:
            what = problems[0] if len(problems) == 1 else vtn.ACCOUNT(problems="; ".join(problems))
            raise ConfigError(what, problems=tuple(problems))

    @property
    def host(self) -> str:
        """Return host and port, for messages and for comparing."""
        return urlsplit(self.url).netloc.casefold()

    def address_allowed(self, url: str) -> bool:
        """True when we may send a secret there: over https, or over http where that is switched on."""
        return not self._address_problems("url", url)

    def _address_problems(self, key: str, url: str) -> list[str]:
        try:
            parts = urlsplit(url)
            host, user, _port = parts.hostname, parts.username, parts.port
            httpx2.URL(url)
        except (ValueError, httpx2.InvalidURL) as error:
            return [vtn.ADDRESS_SYNTAX(key=key, problem=foreign(str(error)))]
        if user is not None:
            return [vtn.ADDRESS_USER(key=key)]
        if parts.scheme not in ("https", "http") or not host:
            return [vtn.ADDRESS(key=key, url=url)]
        if parts.query or parts.fragment:
            return [vtn.ADDRESS_QUERY(key=key, url=url)]
        if parts.scheme == "http" and not self.allow_http:
            return [vtn.ADDRESS_PLAIN(key=key, url=url)]
        return []

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS settings: 1.2 or newer, verified unless that is off; ConfigError for a bad file."""
        try:
            if not self.verify:
                context = httpx2.create_ssl_context(verify=False)
            elif self.ca_file is not None:
                context = ssl.create_default_context(cafile=str(self.ca_file))
            else:
                context = httpx2.create_ssl_context()
            if self.cert_file is not None:
                key_file = str(self.key_file) if self.key_file else None
                # A password keeps OpenSSL from asking for one at the terminal of a service.
                context.load_cert_chain(str(self.cert_file), key_file, password="")
        except (OSError, ssl.SSLError) as error:
            named = (
                self.ca_file if self.cert_file is None else f"{self.ca_file or ''} {self.cert_file}".strip()
            )
            raise ConfigError(
                vtn.CERTIFICATE_FILE(problem=error), subject=vtn.CERTIFICATE_FILES(files=named)
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
