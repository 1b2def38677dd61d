"""The InfluxDB of the settings looked at from here: a part of `ven doctor`, which changes nothing there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from venclient.checkup import Finding, failure, finding
from venclient.errors import StoreError
from venclient.messages import Text
from venclient.messages import influx as inf
from venclient.messages.printable import foreign
from venclient.readings.influx_account import InfluxAccount, without_login
from venclient.readings.influx_probe import InfluxProbe
from venclient.readings.mirror import account_of
from venclient.settings import Settings

CHECK = "InfluxDB"
#: A bucket that keeps less than this, while the journal keeps more, is probably a mistake.
LITTLE = timedelta(days=8)
#: What answers like this is no InfluxDB, although it took a write for one.
_NO_INFLUXDB = frozenset(
    one.code for one in (inf.WEB_PAGE, inf.NOT_AN_API, inf.NOT_A_RESULT, inf.HISTORY_LARGE)
)


async def examine_influx(settings: Settings, now: datetime, *, within_s: float) -> list[Finding]:
    """Return what is well and what is not, nothing without `influx.url`; takes at most about `within_s`.

    It is asked for its version, for the right to write and to read, and for its retention.
    """
    account = account_of(settings)
    if account is None:
        return []
    found = [_of_address(account)] if _has_page(account) else []
    # What cannot be reached is asked once; of one that answers slowly the last answers are not waited for.
    async with InfluxProbe(replace(account, timeout_s=min(account.timeout_s, within_s * 0.8))) as probe:
        try:
            version = await probe.version()
        except StoreError as error:
            return [*found, failure(CHECK, error)]
        url = foreign(account.shown_url)
        reached = (
            inf.PROBE_REACHED(url=url, version=version) if version else inf.PROBE_REACHED_UNKNOWN(url=url)
        )
        found.append(finding(CHECK, reached))
        writes = await _write(probe, now)
        found.append(writes)
        if writes.code == inf.PROBE_WRITE.code:
            found.append(await _retention(probe, settings))
            found.append(await _read(probe, settings, now))
    return found


def _has_page(account: InfluxAccount) -> bool:
    return account.url.strip().rstrip("/") != account.base_url


def _of_address(account: InfluxAccount) -> Finding:
    return finding(
        CHECK, inf.PROBE_ADDRESS(url=foreign(without_login(account.url)), base=foreign(account.shown_url))
    )


async def _write(probe: InfluxProbe, now: datetime) -> Finding:
    bucket = foreign(probe.bucket)
    try:
        found = await probe.may_write(now=now)
    except StoreError as error:
        return failure(CHECK, error)
    if found.kind == "written":
        return finding(CHECK, inf.PROBE_WRITE(bucket=bucket))
    if found.kind == "no database":
        return finding(CHECK, inf.PROBE_NO_DATABASE(bucket=bucket))
    if isinstance(found.reason, Text) and found.hint:
        return finding(CHECK, found.reason)
    return finding(CHECK, inf.PROBE_NO_WRITE(reason=found.reason))


async def _retention(probe: InfluxProbe, settings: Settings) -> Finding:
    bucket = foreign(probe.bucket)
    try:
        kept = await probe.kept()
    except StoreError as error:
        return failure(CHECK, error, state="warn")
    if not kept.known:
        return finding(CHECK, inf.PROBE_KEEPS_UNKNOWN(bucket=bucket))
    if kept.duration is None:
        return finding(CHECK, inf.PROBE_KEEPS_ALL(bucket=bucket))
    days, journal = kept.duration / timedelta(days=1), settings["readings.retention_days"]
    if kept.duration < LITTLE and days < journal:
        return finding(CHECK, inf.PROBE_KEEPS_LITTLE(bucket=bucket, days=days, journal=journal))
    return finding(CHECK, inf.PROBE_KEEPS(bucket=bucket, days=days))


async def _read(probe: InfluxProbe, settings: Settings, now: datetime) -> Finding:
    bucket = foreign(probe.bucket)
    try:
        await probe.may_read(now=now)
    except StoreError as error:
        if settings["readings.store"] == "influxdb" or error.code in _NO_INFLUXDB:
            return failure(CHECK, error)
        return finding(CHECK, inf.PROBE_NO_READ(bucket=bucket, reason=error))
    return finding(CHECK, inf.PROBE_READ(bucket=bucket, language=probe.account.language))
