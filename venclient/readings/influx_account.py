"""Where an InfluxDB is, how to log in, and which destination that is; pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Language = Literal["influxql", "flux"]

#: Pages of the web interface of InfluxDB 2, as they stand in an address copied from a browser, and the API.
_PAGES = re.compile(r"/(orgs/[0-9a-f]{16}|signin|signout|me|onboarding/\d+|api/v[123])(/.*)?$")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class InfluxAccount:
    """Where an InfluxDB is and how to log in; `bucket` is the database of versions 1 and 3."""

    url: str
    version: int = 2
    bucket: str = "meter_data"
    org: str | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    language: Language = "influxql"
    ca_file: Path | None = None
    timeout_s: float = 10.0

    @property
    def base_url(self) -> str:
        """Return the address of the API, without a slash at its end.

        A query, a fragment and the path of a page of InfluxDB's web interface are left out: they come from
        an address copied from a browser. So is the path of the API, and the path of a proxy stays.
        """
        try:
            parts = urlsplit(self.url.strip())
        except ValueError:
            return self.url.strip()  # such as "http://[::1": the first request fails with the reason
        path = re.sub(r"/{2,}", "/", parts.path)
        path = _PAGES.sub("", path).rstrip("/")
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    @property
    def shown_url(self) -> str:
        """Return the address for messages: without a user name and password that stand in it."""
        return without_login(self.base_url)

    @property
    def destination(self) -> str:
        """Return a short key of the server, organisation and bucket; a new token or user changes nothing."""
        base = self.base_url
        try:
            parts = urlsplit(base)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            place = (parts.scheme, parts.hostname or "", str(port), parts.path)
        except ValueError:
            place = ("", base, "", "")
        what = (*place, self.org or "", self.bucket)
        return hashlib.sha256("\n".join(what).encode(errors="replace")).hexdigest()[:16]


def without_login(url: str) -> str:
    """Return an address without a user name and password."""
    return re.sub(r"//[^/?#]*@", "//", url, count=1)
