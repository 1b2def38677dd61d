"""VTNs that announce themselves on the local network (mDNS and DNS-SD), as a proposal for people.

Definition.md, "Discovery and Configuration of Local VTNs". Any host on the network may announce anything:
what is heard is cleaned and shown, and never connected to until a user writes it into ven.toml.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from venclient.client.dialect import V3_0_1, V3_1, told_by_path
from venclient.clock import Clock, rest
from venclient.errors import VtnUnreachable
from venclient.messages import client as vtn
from venclient.messages import with_code
from venclient.messages.printable import foreign

SERVICE = "_openadr3._tcp.local."

#: A TXT string holds 255 bytes at most; no more of a text is shown.
_LONGEST = 255
#: How long one service may take to report its address.
_RESOLVE_MS = 3000
#: More announcements than this are not looked at: a network has a VTN or two.
MOST = 100


class FoundVtn(msgspec.Struct, frozen=True, kw_only=True):
    """A VTN on the local network, as announced; `url` is what to connect to, None when not announced.

    `requires_auth` is None when not announced. `notes` say, in sentences, what is odd about it.
    """

    name: str
    url: str | None
    version: str | None = None
    host: str | None = None
    port: int | None = None
    addresses: tuple[str, ...] = ()
    program_names: tuple[str, ...] = ()
    requires_auth: bool | None = None
    openapi_url: str | None = None
    notes: tuple[str, ...] = ()

    def settings(self) -> str:
        """Return the lines for ven.toml that lead to this VTN; "" when its address is unknown."""
        if self.url is None:
            return ""
        lines = ["[vtn]", f"url = {_quoted(self.url)}"]
        if self.url.startswith("http:"):
            lines.append(vtn.SETTING_NO_TLS())
        spoken = _spoken(self.version)
        if spoken is None and told_by_path(self.url) is None:
            lines.append(vtn.SETTING_PROBE())
        elif spoken == V3_0_1.version:
            lines.append(f"version = {_quoted(spoken)}")
        if self.program_names:
            lines.append(f"programs = [{', '.join(map(_quoted, self.program_names))}]")
        if self.requires_auth is not False:
            why = vtn.LOGIN_REQUIRED() if self.requires_auth else vtn.LOGIN_MAYBE()
            lines += [f'# client_id = "..."  # {why}', '# client_secret = "file:vtn.secret"']
        return "\n".join(lines)


def read_announcement(
    name: str,
    server: str | None,
    port: int | None,
    addresses: Iterable[str],
    txt: Mapping[bytes, bytes | None],
) -> FoundVtn:
    """Return what an announcement says. Pure; whatever it holds, it does not fail.

    The `.local` name of the host is preferred to its address, and `local_url` to what is put together.
    """
    entries = {_clean(key).casefold(): _clean(value) for key, value in reversed(list(txt.items()))}
    found = tuple(addresses)
    notes: list[str] = []
    host = _clean(server).rstrip(".") or None
    base = entries.get("base_path", "").strip("/")
    local = _address_of(entries.get("local_url", ""), notes)
    url = local
    best = _best_host(host, found)
    by_address = local is not None and _is_ip(urlsplit(local).hostname) and not _is_ip(best)
    if best is not None and port and (local is None or by_address):
        scheme = urlsplit(local).scheme if local else "https"
        path = base or (urlsplit(local).path.strip("/") if local else "")
        url = _address_of(f"{scheme}://{best}:{port}" + (f"/{path}" if path else ""), notes)
    elif local and host and urlsplit(local).hostname not in (host.casefold(), *found):
        notes.append(with_code(vtn.OTHER_HOST(host=host)))
    if url is None:
        notes.append(with_code(vtn.NO_ADDRESS()))
    elif not urlsplit(url).path.strip("/"):
        notes.append(with_code(vtn.NO_BASE_PATH()))
    login = {"true": True, "false": False}.get(entries.get("requires_auth", "").casefold())
    programs = (one.strip() for one in entries.get("program_names", "").split(","))
    return FoundVtn(
        name=_clean(name).removesuffix(f".{SERVICE}"),
        url=url,
        version=entries.get("version") or None,
        host=host,
        port=port,
        addresses=found,
        program_names=tuple(dict.fromkeys(one for one in programs if one)),
        requires_auth=login,
        openapi_url=entries.get("openapi_url") or None,
        notes=tuple(notes),
    )


async def discover(
    clock: Clock,
    *,
    within_s: float,
    interfaces: Sequence[str] | None = None,
    enough: Callable[[Collection[FoundVtn]], bool] = lambda _: False,
) -> list[FoundVtn]:
    """Return the VTNs that announce themselves within that time, by name.

    It listens on all networks, or on the `interfaces` (own addresses); it ends early when what was
    found is `enough`.
    VtnUnreachable when this machine cannot ask.
    """
    # zeroconf costs 17 MiB and 0.2 s: only who looks for a VTN pays.
    from zeroconf import IPVersion, ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    logging.getLogger("zeroconf").setLevel(logging.ERROR)
    heard: dict[str, FoundVtn] = {}
    looking: dict[str, asyncio.Task[None]] = {}
    done = asyncio.Event()
    options: dict[str, Any] = {"interfaces": list(interfaces)} if interfaces else {}
    try:
        for one in interfaces or ():
            # zeroconf leaves a socket open when it finds out by itself.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((str(ipaddress.IPv4Address(one)), 0))
        network = AsyncZeroconf(ip_version=IPVersion.V4Only, **options)
    except (OSError, ValueError) as error:
        raise VtnUnreachable(vtn.MDNS(problem=error), subject="mDNS") from error

    async def resolve(name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if await info.async_request(network.zeroconf, _RESOLVE_MS):
            heard[name] = read_announcement(
                name, info.server, info.port, info.parsed_addresses(), info.properties
            )
        else:
            heard[name] = read_announcement(name, None, None, (), {})
        if enough(heard.values()):
            done.set()

    def changed(*, name: str, state_change: ServiceStateChange, **_: object) -> None:
        if (before := looking.pop(name, None)) is not None:
            before.cancel()
        heard.pop(name, None)
        if state_change is not ServiceStateChange.Removed and len(looking) < MOST:
            looking[name] = asyncio.ensure_future(resolve(name))

    browser: AsyncServiceBrowser | None = None
    try:
        browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[changed])
        await rest(clock, within_s, done)
    finally:
        if browser is not None:
            await browser.async_cancel()
        for task in looking.values():
            task.cancel()
        await asyncio.gather(*looking.values(), return_exceptions=True)
        await network.async_close()
    for name in looking.keys() - heard.keys():
        heard[name] = read_announcement(name, None, None, (), {})
    return sorted(heard.values(), key=lambda one: (one.name, one.url or ""))


def _clean(text: str | bytes | None) -> str:
    """Return a text as far as it can be shown: no control characters, of a bounded length."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return "".join(c for c in text or "" if c.isprintable()).strip()[:_LONGEST]


def _address_of(text: str, notes: list[str]) -> str | None:
    """Return an address that may stand in ven.toml, None for what is none."""
    text = text.strip("\"' ").rstrip("/")
    if not text:
        return None
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or parts.username is not None or parts.query or parts.fragment or " " in text:
        notes.append(with_code(vtn.BAD_ANNOUNCED_URL(url=foreign(text))))
        return None
    return text


def _best_host(host: str | None, addresses: Sequence[str]) -> str | None:
    if host:
        return host
    first = next(iter(addresses), None)
    return f"[{first}]" if first and ":" in first else first


def _is_ip(host: str | None) -> bool:
    try:
        ipaddress.ip_address((host or "").strip("[]"))
    except ValueError:
        return False
    return True


def _spoken(version: str | None) -> str | None:
    spoken = (version or "").lower().removeprefix("v")
    if spoken.startswith("3.0"):
        return V3_0_1.version
    return V3_1.version if spoken.startswith("3.") else None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
