"""What `ven doctor` concludes from its checks: one message with a hint for each. Pure."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from venclient.client.difference import Difference
from venclient.connectors.silence import OLD
from venclient.errors import VenError
from venclient.messages import Level, Text, code_of
from venclient.messages import diagnostics as doc
from venclient.messages import readings as rdg
from venclient.messages.printable import foreign, without_name
from venclient.model.quality import meter_rules, silence_limit_s
from venclient.model.resource import Resource
from venclient.openadr.objects import Notifiers, Program
from venclient.utils import age_text
from venclient.vtn_side import SKEW_ALARM_S

State = Literal["ok", "warn", "fail"]

MIB = 2**20
#: Less free space than this, in bytes, is soon none, and is none.
LITTLE_BYTES = 500 * MIB
NO_BYTES = 50 * MIB
#: More than this written for readings on a day wears a small card out within years.
MUCH_A_DAY_BYTES = 1024 * MIB
#: A certificate that ends sooner than this, in days, should be renewed by now.
SOON_DAYS = 14
#: So many of a kind are named in a sentence.
NAMED = 3


#: The code at the end of an error as the gateway reports it.
_CODE = re.compile(r" \[(VEN-[A-Z]{3}-\d{3})\]$")


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; `advice` is what to do next, `code` the code of its message.

    `vtn` names the further VTN that it is about, "" for the first one and for this machine.
    """

    check: str
    state: State
    what: str
    advice: str = ""
    vtn: str = ""
    code: str = ""


_STATES: Mapping[Level, State] = {Level.INFO: "ok", Level.WARNING: "warn", Level.ERROR: "fail"}


def finding(check: str, text: Text, *, cause: object = None, vtn: str = "") -> Finding:
    """Return the finding that a message stands for; its level is the state.

    A `cause` that is a message with a code passes on its code and hint.
    """
    advice = (cause.hint if isinstance(cause, Text) else "") or text.hint
    return Finding(check, _STATES[text.level], str(text), advice, vtn, code_of(cause) or text.code)


def failure(check: str, error: VenError, *, state: State = "fail", place: str = "") -> Finding:
    """Return the finding for an error; `place` replaces its subject."""
    subject = place or error.subject
    what = f"{subject}: {error.what}" if subject else str(error.what)
    return Finding(check, state, what, error.hint, code=error.code)


class TlsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A TLS connection as it was seen; `refused` is the reason why its certificate is not trusted."""

    place: str
    version: str | None = None
    issuer: str | None = None
    until: datetime | None = None
    refused: str | None = None
    verified: bool = True
    authority: str | None = None


# ---- this machine


def of_clock(*, synchronised: bool) -> Finding:
    """Judge whether NTP keeps the clock."""
    if synchronised:
        return finding("clock", doc.CLOCK())
    return finding("clock", doc.CLOCK_UNKNOWN())


def of_skew(skew_s: float | None) -> Finding | None:
    """Judge our clock minus the VTN's, in seconds. The VTN's header has whole seconds, truncated."""
    if skew_s is None:
        return None
    if -SKEW_ALARM_S <= skew_s <= SKEW_ALARM_S + 1:
        return finding("clock skew", doc.SKEW(limit=SKEW_ALARM_S))
    message = doc.SKEW_AHEAD if skew_s > 0 else doc.SKEW_BEHIND
    return finding("clock skew", message(seconds=abs(skew_s)))


def of_space(place: str, free: int, total: int) -> Finding:
    """Judge the free bytes of the disk at a place."""
    message = doc.SPACE
    if free < NO_BYTES:
        message = doc.SPACE_NONE
    elif free < min(LITTLE_BYTES, total / 10):
        message = doc.SPACE_LOW
    return finding("disk", message(free=free / MIB, total=total / MIB, place=place))


def of_wear(days: Sequence[tuple[int, int]], commit_s: float) -> Finding | None:
    """Judge (bytes written, readings stored) of the last whole days; None before there was one."""
    if not days:
        return None
    mean = sum(written for written, _ in days) / len(days)
    message = doc.WEAR_HIGH if mean > MUCH_A_DAY_BYTES else doc.WEAR
    return finding("disk wear", message(written=mean / MIB, days=len(days), commit_s=commit_s))


def of_gateway(snapshot: Mapping[str, Any] | None, config: str) -> Finding:
    """Judge the snapshot of a running gateway; None when none runs."""
    if snapshot is None:
        return finding("gateway", doc.GATEWAY_OFF(config=config))
    bad = [
        doc.LINK(name=link.get("name") or link["vtn"]["url"], state=link["vtn"]["state"])
        for link in (snapshot, *snapshot.get("others", ()))
        if link["vtn"]["state"] not in ("connected", "not asked yet")
    ]
    refused = sum(link["reports"]["refused"] for link in (snapshot, *snapshot.get("others", ())))
    running = {"since": f"{snapshot['started'][:19]}Z", "version": snapshot["version"]}
    if bad:
        return finding("gateway", doc.GATEWAY_VTN(**running, links=bad))
    if refused:
        return finding("gateway", doc.GATEWAY_REFUSED(**running, count=refused))
    return finding("gateway", doc.GATEWAY(**running))


# ---- the way to a VTN


def of_tls(seen: TlsSeen, now: datetime) -> Finding:
    """Judge the protocol, and the certificate with its issuer and end."""
    days = (seen.until - now).days if seen.until else None
    issuer = foreign(seen.issuer) if seen.issuer else doc.UNKNOWN_ISSUER()
    if seen.refused:
        validity = doc.VALIDITY(until=seen.until) if seen.until else ""
        certificate = doc.CERTIFICATE(issuer=issuer, validity=validity)
        authority = seen.authority or doc.SYSTEM_AUTHORITIES()
        message = doc.TLS_EXPIRED if days is not None and days < 0 else doc.TLS_UNTRUSTED
        text = message(place=seen.place, problem=seen.refused, certificate=certificate, authority=authority)
        return finding("TLS", text, cause=seen.refused)
    validity = "" if days is None else doc.VALIDITY_LEFT(until=seen.until, days=days)
    message = doc.TLS
    if not seen.verified:
        message = doc.TLS_UNVERIFIED
    elif days is not None and days < SOON_DAYS:
        message = doc.TLS_ENDS_SOON
    text = message(
        place=seen.place,
        version=seen.version or "TLS",
        certificate=doc.CERTIFICATE(issuer=issuer, validity=validity),
        authority=doc.VERIFIED_BY(authority=seen.authority) if seen.authority else "",
    )
    return finding("TLS", text)


# ---- what the token lets us do

#: What each scope allows a VEN, in words.
SCOPES: Mapping[str, Text] = {
    "read_targets": doc.SCOPE_PROGRAMS(),
    "read_ven_objects": doc.SCOPE_OBJECTS(),
    "write_reports": doc.SCOPE_REPORTS(),
    "write_vens": doc.SCOPE_REGISTER(),
    "write_subscriptions": doc.SCOPE_SUBSCRIBE(),
}
#: What stands for one of them at some VTNs: versions 3.0.1 and 3.1.1, and OpenLEADR's variants.
_STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "read_all": ("read_targets", "read_ven_objects"),
    "read_bl": ("read_targets", "read_ven_objects"),
    "write_vens_ven": ("write_vens",),
    "write_vens_bl": ("write_vens",),
    "write_reports_ven": ("write_reports",),
    "write_reports_bl": ("write_reports",),
    "write_subscriptions_ven": ("write_subscriptions",),
    "write_subscriptions_bl": ("write_subscriptions",),
}
#: What only those need who run the VTN's programs.
_TOO_MUCH = ("write_programs", "write_events", "write_users")


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, which are not verified; nothing for a token of another kind."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, UnicodeDecodeError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def scopes_of(claims: Mapping[str, Any], granted: str | None) -> frozenset[str] | None:
    """Return the scopes that a token carries, or that were granted with it; None when neither says any."""
    found: list[str] = (granted or "").split()
    for name in ("scope", "scp", "roles"):
        claim = claims.get(name)
        found += claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return frozenset(one for one in found if isinstance(one, str)) or None


def of_scopes(scopes: Collection[str] | None, *, notified: bool = False) -> Finding:
    """Judge what a token lets us do; `notified` when a subscription is needed, too."""
    if scopes is None:
        return finding("scopes", doc.SCOPES_UNKNOWN())
    has = set(scopes)
    for one in scopes:
        has.update(_STANDS_FOR.get(one, ()))
    may = [words for scope, words in SCOPES.items() if scope in has]
    lacks = {scope: words for scope, words in SCOPES.items() if scope not in has}
    params: dict[str, Any] = {
        "granted": _listed(may) if may else doc.NO_SCOPE(),
        "missing": doc.MISSING_SCOPES(names=_listed(list(lacks.values()))) if lacks else "",
    }
    needed = [one for one in lacks if one != "write_subscriptions" or notified]
    if needed:
        harmful = set(needed) - {"write_subscriptions"}
        message = doc.SCOPES_MISSING if harmful else doc.SCOPE_SUBSCRIPTIONS_MISSING
        return finding("scopes", message(**params, scopes=" ".join(needed)))
    if too_much := [one for one in _TOO_MUCH if one in has]:
        return finding("scopes", doc.SCOPES_TOO_MANY(**params, surplus=too_much))
    return finding("scopes", doc.SCOPES(**params))


# ---- what the VTN says


def of_version(spoken: str, wanted: str) -> Finding:
    """Judge the version that the VTN speaks against `vtn.version`."""
    if wanted not in (spoken, "probe"):
        return finding("version", doc.VERSION_DIFFERS(version=spoken, setting=wanted))
    return finding("version", doc.VERSION(version=spoken))


def of_programs(programs: Sequence[Program], events: int, wanted: Collection[str]) -> Finding:
    """Judge which programs are visible, and whether those of the allow-list are among them."""
    names = [one.program_name for one in programs]
    if not names:
        return finding("programs", doc.NO_PROGRAM())
    visible = _listed([foreign(one) for one in names])
    if missing := [one for one in wanted if one not in names]:
        text = doc.PROGRAM_MISSING(names=visible, events=events, missing=_listed(missing))
        return finding("programs", text)
    return finding("programs", doc.PROGRAMS(names=visible, events=events))


def of_registration(
    ven: str, id_: str | None, what: Difference, problems: Sequence[str], *, vtn: str = ""
) -> list[Finding]:
    """Judge whether the VTN knows the VEN, and holds its resources as the registry says.

    `vtn` names one of several VTNs, for the commands in the advice.
    """
    option = f" --vtn {vtn}" if vtn else ""
    if id_ is None:
        return [finding("registration", doc.NOT_REGISTERED(ven=ven, option=option))]
    count = len(what.create) + len(what.update) + len(what.adopt)
    message = doc.REGISTERED if what.is_empty else doc.REGISTERED_DIFFERS
    text = message(
        ven=ven,
        fitting=len(what.adopt),
        count=count,
        missing=len(what.create),
        different=len(what.update),
        option=option,
    )
    found = [finding("registration", text)]
    if what.extra:
        names = _listed([foreign(one.resource_name) for one in what.extra])
        found.append(finding("registration", doc.EXTRA(names=names, option=option)))
    found += [
        finding("registration", doc.RESOURCE_PROBLEM(problem=one), cause=one) for one in problems[:NAMED]
    ]
    return found


def of_notifiers(notifiers: Notifiers | None, *, push: str, webhook: bool, poll_s: float) -> Finding:
    """Judge how changes are received. Push is optional: polling always continues."""
    if push == "off":
        return finding("notifiers", doc.PUSH_OFF(seconds=poll_s))
    if notifiers is None:
        return finding("notifiers", doc.PUSH_NONE(seconds=poll_s))
    offered = [
        name
        for name, there in (
            ("webhook", notifiers.webhook),
            ("MQTT", notifiers.mqtt is not None),
            ("WebSocket", bool(notifiers.websocket)),
        )
        if there
    ]
    if offered == ["webhook"] and not webhook:
        return finding("notifiers", doc.PUSH_WEBHOOK(seconds=poll_s))
    if not offered:
        return finding("notifiers", doc.PUSH_UNKNOWN(seconds=poll_s))
    return finding("notifiers", doc.PUSH(kinds=_listed(offered)))


def of_standing(uncarried: Sequence[str], problems: Sequence[str], wishes: int) -> list[Finding]:
    """Judge whether events carry what resources are configured to report; sentences are passed on."""
    found = [finding("telemetry", doc.NOT_CARRIED(problem=one), cause=one) for one in uncarried]
    found += [finding("telemetry", doc.REPORTING_PROBLEM(problem=one), cause=one) for one in problems]
    if not found and wishes:
        found.append(finding("telemetry", doc.CARRIED(count=wishes)))
    return found


# ---- capacities


def of_capacities(resources: Iterable[Resource], peaks: Mapping[str, tuple[float, float]]) -> list[Finding]:
    """Propose a capacity in kW for each site whose own is assumed or missing, from what was measured."""
    found: list[Finding] = []
    count = 0
    for one in resources:
        try:
            meter = meter_rules(one)
        except ValueError:
            continue  # its connection is reported as wrong elsewhere
        if meter.entered or one.resourceID not in peaks:
            continue
        count += 1
        if count > NAMED:
            continue
        low, high = peaks[one.resourceID]
        changes = f"capacities.P_max_kw={_rounded_up(max(high, 0.0)):g}"
        if low < 0:
            changes += f" capacities.P_min_kw={-_rounded_up(-low):g}"
        about: dict[str, Any] = {
            "name": foreign(one.resourceName),
            "low": low,
            "high": high,
            "limit": meter.limit_kw,
            "changes": changes,
        }
        text = rdg.CAPACITY_MISSING(**about)
        if meter.assumed_kw is not None:
            text = rdg.CAPACITY_ASSUMED(**about, assumed=meter.assumed_kw)
        found.append(finding("capacity", text))
    if count > NAMED:
        found.append(finding("capacity", rdg.CAPACITY_MORE(count=count - NAMED)))
    return found


def _rounded_up(power_kw: float) -> float:
    """Return a power with a tenth to spare, rounded up to two digits."""
    if power_kw <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(power_kw * 1.1)) - 1)
    return round(math.ceil(power_kw * 1.1 / unit) * unit, 6)


# ---- devices


def of_running_device(row: Mapping[str, Any], now: str) -> Finding:
    """Judge a device by what the running gateway says of it, which need not be disturbed for that."""
    check = f"device {row['name']}"
    if row["state"] == "ok":
        last = datetime.fromisoformat(row.get("last_ok") or now)
        since = age_text((datetime.fromisoformat(now) - last).total_seconds())
        return finding(check, doc.DEVICE_READ(endpoint=row["endpoint"], age=since))
    if row["state"] == "starting":
        return finding(check, doc.DEVICE_STARTING(endpoint=row["endpoint"]))
    what, _, advice = without_name(str(row["last_error"] or row["state"]), row["name"]).partition("; ")
    failed = finding(
        check, doc.DEVICE_FAILED(problem=_CODE.sub("", what), id=row.get("resource", row["name"]))
    )
    code = _CODE.search(advice or what)
    advice = _CODE.sub("", advice) or failed.advice
    state: State = "warn" if row["state"] == "silent" else failed.state
    return replace(failed, state=state, advice=advice, code=code[1] if code else failed.code)


def of_old_values(resource: Resource, newest: datetime, now: datetime) -> Finding | None:
    """Warn of a device whose newest value is too old to be of now; None when it is not."""
    limit_s = silence_limit_s(resource.connection.options)
    if limit_s == 0:
        return None
    age_s = (now - newest).total_seconds()
    if age_s <= (OLD.total_seconds() if limit_s is None else limit_s):
        return None
    text = rdg.SOURCE_OLD(endpoint=resource.connection.endpoint, age=age_text(age_s), time=newest)
    return finding(f"device {resource.resourceName}", text)


def summed(findings: Iterable[Finding], most: int) -> list[Finding]:
    """Return the findings, with healthy devices summed up in one line when there are more than `most`."""
    every = list(findings)
    well = [one for one in every if one.state == "ok"]
    if len(well) <= most:
        return every
    total = finding("devices", doc.DEVICES_READ(count=len(well), total=len(every)))
    return [total, *(one for one in every if one.state != "ok")]


def _listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them, the first few of many."""
    few = list(names[:6])
    if len(names) > len(few):
        return doc.AND_MORE(names=few, count=len(names) - len(few))
    return doc.AND(names=few[:-1], last=few[-1]) if len(few) > 1 else few[0]
