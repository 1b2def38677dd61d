"""What `ven doctor` concludes from what it saw: one sentence and one thing to do for each check. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from venclient.client.difference import Difference
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


class Finding(msgspec.Struct, frozen=True):
    """How it stands with one thing; `advice` says what to do where not all is well.

    `vtn` names the further VTN that it is about, "" for the first one and for this machine.
    """

    check: str
    state: State
    what: str
    advice: str = ""
    vtn: str = ""


class TlsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A TLS connection as it was seen; `refused` says why its certificate is not believed."""

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
        return Finding("clock", "ok", "synchronised (NTP)")
    return Finding(
        "clock",
        "warn",
        "not known to be synchronised",
        "timedatectl set-ntp true; reports need the right time, and some utilities want it within 5 s",
    )


def of_skew(skew_s: float | None) -> Finding | None:
    """Judge our clock minus the VTN's, in seconds; its header tells whole seconds, cut off."""
    if skew_s is None:
        return None
    if -SKEW_ALARM_S <= skew_s <= SKEW_ALARM_S + 1:
        return Finding("clock skew", "ok", f"agrees with the VTN's within {SKEW_ALARM_S:g} s")
    way = "ahead of" if skew_s > 0 else "behind"
    return Finding(
        "clock skew",
        "fail",
        f"our clock is {abs(skew_s):.0f} s {way} the VTN's",
        "check NTP here (timedatectl), and tell the VTN's operator if it is well",
    )


def of_space(place: str, free: int, total: int) -> Finding:
    """Judge the free bytes of the disk at a place."""
    what = f"{free / MIB:,.0f} MiB free of {total / MIB:,.0f} at {place}"
    if free < NO_BYTES:
        return Finding("disk", "fail", what, "make room now: readings and reports cannot be stored without")
    if free < min(LITTLE_BYTES, total / 10):
        return Finding("disk", "warn", what, "make room, or set readings.retention_days or readings.max_mb")
    return Finding("disk", "ok", what)


def of_wear(days: Sequence[tuple[int, int]], commit_s: float) -> Finding | None:
    """Judge (bytes written, readings stored) of the last whole days; None before there was one."""
    if not days:
        return None
    mean = sum(written for written, _ in days) / len(days)
    what = f"{mean / MIB:,.1f} MiB written a day for readings, the mean of {len(days)} days"
    if mean > MUCH_A_DAY_BYTES:
        advice = f"raise readings.commit_s (now {commit_s:g}): each commit writes whole pages to the card"
        return Finding("disk wear", "warn", what, advice)
    return Finding("disk wear", "ok", what)


def of_gateway(snapshot: Mapping[str, Any] | None, config: str) -> Finding:
    """Judge the snapshot of a running gateway; None when none runs."""
    if snapshot is None:
        return Finding("gateway", "warn", "none is running", f"start it: ven run --config {config}")
    bad = [
        f"{link.get('name') or link['vtn']['url']} is {link['vtn']['state']}"
        for link in (snapshot, *snapshot.get("others", ()))
        if link["vtn"]["state"] not in ("connected", "not asked yet")
    ]
    refused = sum(link["reports"]["refused"] for link in (snapshot, *snapshot.get("others", ())))
    what = f"running since {snapshot['started'][:19]}Z, version {snapshot['version']}"
    if bad:
        return Finding("gateway", "warn", f"{what}; {'; '.join(bad)}", "see `ven status`, and below")
    if refused:
        told = f"{what}; {refused} reports were refused"
        return Finding("gateway", "warn", told, "`ven reports list --state refused` tells why")
    return Finding("gateway", "ok", what)


# ---- the way to a VTN


def of_tls(seen: TlsSeen, now: datetime) -> Finding:
    """Judge the protocol, and the certificate with its issuer and end."""
    issued = f"certificate of {seen.issuer or 'an unnamed issuer'}"
    until = f" until {seen.until:%Y-%m-%d}" if seen.until else ""
    days = (seen.until - now).days if seen.until else None
    if seen.refused:
        told = f" ({issued}{until})" if seen.issuer or seen.until else ""
        known = (
            f"{seen.authority} does not vouch for it" if seen.authority else "the system does not trust it"
        )
        advice = "set vtn.ca_file to the VTN's certificate authority, or have its certificate renewed"
        if days is not None and days < 0:
            return Finding("TLS", "fail", f"{seen.place}: {seen.refused}{told}", "its operator must renew it")
        return Finding("TLS", "fail", f"{seen.place}: {seen.refused}{told}; {known}", advice)
    left = "" if days is None else f", {days} days left"
    what = f"{seen.place}: {seen.version or 'TLS'}, {issued}{until}{left}"
    if not seen.verified:
        return Finding(
            "TLS", "warn", f"{what}; not verified", "vtn.verify = true, with vtn.ca_file if needed"
        )
    if days is not None and days < SOON_DAYS:
        return Finding("TLS", "warn", what, "its operator should renew the certificate")
    return Finding("TLS", "ok", f"{what}{f', by {seen.authority}' if seen.authority else ''}")


# ---- what the token lets us do

#: What each scope lets a VEN do, in words.
SCOPES: Mapping[str, str] = {
    "read_targets": "see programs and events",
    "read_ven_objects": "see its own VEN, resources, reports and subscriptions",
    "write_reports": "send reports",
    "write_vens": "register its VEN and resources",
    "write_subscriptions": "subscribe to notifications",
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
    """Give the claims of a JWT, which are not verified; nothing for a token of another kind."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, UnicodeDecodeError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def scopes_of(claims: Mapping[str, Any], granted: str | None) -> frozenset[str] | None:
    """Give the scopes that a token carries, or that were granted with it; None when neither says any."""
    found: list[str] = (granted or "").split()
    for name in ("scope", "scp", "roles"):
        told = claims.get(name)
        found += told.split() if isinstance(told, str) else told if isinstance(told, list) else ()
    return frozenset(one for one in found if isinstance(one, str)) or None


def of_scopes(scopes: Collection[str] | None, *, notified: bool = False) -> Finding:
    """Judge what a token lets us do; `notified` when a subscription is needed, too."""
    if scopes is None:
        return Finding("scopes", "ok", "the token does not tell its scopes; the checks below show them")
    has = set(scopes)
    for one in scopes:
        has.update(_STANDS_FOR.get(one, ()))
    may = [words for scope, words in SCOPES.items() if scope in has]
    lacks = {scope: words for scope, words in SCOPES.items() if scope not in has}
    what = f"let us {_listed(may)}" if may else "let us do nothing that a VEN does"
    if lacks:
        what += f"; not {_listed(list(lacks.values()))}"
    needed = [one for one in lacks if one != "write_subscriptions" or notified]
    if needed:
        state: State = "fail" if set(needed) - {"write_subscriptions"} else "warn"
        return Finding("scopes", state, what, f"ask the VTN's operator for the scope {' '.join(needed)}")
    if too_much := [one for one in _TOO_MUCH if one in has]:
        advice = "ask the VTN's operator for an account of a VEN: this one can do harm there"
        return Finding("scopes", "warn", f"{what}; and more ({', '.join(too_much)})", advice)
    return Finding("scopes", "ok", what)


# ---- what the VTN says


def of_version(spoken: str, wanted: str) -> Finding:
    """Judge the version that the VTN speaks against `vtn.version`."""
    if wanted not in (spoken, "probe"):
        advice = f'set vtn.version = "{spoken}", or "probe"'
        what = f"speaks OpenADR {spoken}, as far as that can be told; the settings say {wanted}"
        return Finding("version", "warn", what, advice)
    return Finding("version", "ok", f"speaks OpenADR {spoken}")


def of_programs(programs: Sequence[Program], events: int, wanted: Collection[str]) -> Finding:
    """Judge which programs are visible, and whether those of the allow-list are among them."""
    names = [one.program_name for one in programs]
    if not names:
        advice = "ask the VTN's operator to grant this VEN a program (its targets, or the scope read_targets)"
        return Finding("programs", "warn", "this VEN sees no program", advice)
    what = f"sees {_listed(names)}, with {events} event{'s' if events != 1 else ''}"
    if missing := [one for one in wanted if one not in names]:
        advice = "correct vtn.programs, or ask the VTN's operator for it"
        return Finding(
            "programs", "warn", f"{what}; not {_listed(missing)}, which vtn.programs names", advice
        )
    return Finding("programs", "ok", what)


def of_registration(ven: str, id_: str | None, what: Difference, problems: Sequence[str]) -> list[Finding]:
    """Judge whether the VTN knows the VEN, and holds its resources as the registry says."""
    if id_ is None:
        advice = "`ven vtn register`, or start the gateway: it registers by itself"
        return [Finding("registration", "warn", f"the VTN knows no VEN {ven!r} of ours", advice)]
    count = len(what.create) + len(what.update) + len(what.adopt)
    told = f"VEN {ven} is known, {len(what.adopt)} of {count} resources are as they should be"
    if not what.is_empty:
        advice = "`ven vtn diff` shows it, `ven vtn register` mends it; so does the gateway, each hour"
        lacks = f"{told}; {len(what.create)} missing, {len(what.update)} different"
        found = [Finding("registration", "warn", lacks, advice)]
    else:
        found = [Finding("registration", "ok", told)]
    if what.extra:
        names = _listed([one.resource_name for one in what.extra])
        advice = "`ven vtn register --delete-extra` removes them, if nobody needs them"
        found.append(Finding("registration", "warn", f"the VTN has besides: {names}", advice))
    found += [Finding("registration", "warn", one, "correct the resource") for one in problems[:NAMED]]
    return found


def of_notifiers(notifiers: Notifiers | None, *, push: str, webhook: bool, poll_s: float) -> Finding:
    """Judge how we hear of changes; being told is never needed, as polling always goes on."""
    polls = f"polling every {poll_s:g} s"
    if push == "off":
        return Finding("notifiers", "ok", f"{polls} (vtn.push is off)")
    if notifiers is None:
        why = "the VTN tells this client no notifiers (an answer of 403 or 404 means that)"
        return Finding("notifiers", "ok", f"{polls}: {why}")
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
        advice = "set vtn.webhook_url if this gateway can be reached from there"
        return Finding("notifiers", "ok", f"{polls}: the VTN offers webhooks only", advice)
    if not offered:
        return Finding("notifiers", "ok", f"{polls}: the VTN offers no notifications that we know")
    return Finding("notifiers", "ok", f"the VTN offers {_listed(offered)}; polling stays as a safety net")


def of_standing(uncarried: Sequence[str], problems: Sequence[str], wishes: int) -> list[Finding]:
    """Judge whether events carry what resources are configured to report; sentences are passed on."""
    found = []
    for sentence in uncarried:
        what, _, advice = sentence.partition("; ask ")
        found.append(Finding("telemetry", "warn", what, f"ask {advice}" if advice else ""))
    found += [Finding("telemetry", "warn", one, "correct the resource's reporting") for one in problems]
    if not found and wishes:
        what = f"events ask for all that resources are configured to report ({wishes} wishes)"
        found.append(Finding("telemetry", "ok", what))
    return found


# ---- devices


def of_running_device(row: Mapping[str, Any], now: str) -> Finding:
    """Judge a device by what the running gateway says of it, which need not be disturbed for that."""
    check = f"device {row['name']}"
    if row["state"] == "ok":
        last = datetime.fromisoformat(row.get("last_ok") or now)
        since = age_text((datetime.fromisoformat(now) - last).total_seconds())
        return Finding(check, "ok", f"{row['endpoint']} read {since} ago by the gateway")
    if row["state"] == "starting":
        return Finding(check, "warn", f"{row['endpoint']} has told the gateway nothing yet", "ask again soon")
    what, _, advice = str(row["last_error"] or row["state"]).partition("; ")
    return Finding(check, "fail", what, advice or "see `ven connections test`")


def summed(findings: Iterable[Finding], most: int) -> list[Finding]:
    """Give findings about devices with those that are well told in one line when there are many."""
    every = list(findings)
    well = [one for one in every if one.state == "ok"]
    if len(well) <= most:
        return every
    total = Finding("devices", "ok", f"{len(well)} of {len(every)} were read")
    return [total, *(one for one in every if one.state != "ok")]


def _listed(names: Sequence[str]) -> str:
    """Give names as a sentence lists them, the first few of many."""
    few = list(names[:6])
    if len(names) > len(few):
        return f"{', '.join(few)} and {len(names) - len(few)} more"
    return f"{', '.join(few[:-1])} and {few[-1]}" if len(few) > 1 else few[0]
