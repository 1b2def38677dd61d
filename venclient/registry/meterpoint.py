"""Numbers that name things: GS1 meter point ids with their check digit, and resource ids that never change.

Both are derived from a row's identity, which makes the same site read twice the same resource.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from uuid import UUID

from venclient.messages import registry as reg

#: First nine digits of the meter point ids that samples and sites without one get.
SAMPLE_PREFIX = "707057500"

#: Root of our UUIDv5 names; changing it would rename every resource that was ever imported.
NAMESPACE = UUID("6f0b7a52-98c6-5d1e-9d5c-3a1f2c70e4b9")

_GS1_LENGTH = 18
#: What a UUIDv5 takes from the hash, and the version and variant that it has in the bits between.
_NOT_FIXED = ((1 << 128) - 1) ^ (0xF << 76) ^ (0x3 << 62)
_VERSION_5 = (5 << 76) | (2 << 62)
_VARIANTS = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}
_SERIALS = 10 ** (_GS1_LENGTH - 1 - len(SAMPLE_PREFIX))
_NAMESPACE_BEGUN = sha1(NAMESPACE.bytes, usedforsecurity=False)


def check_digit(digits: str) -> str:
    """Return the GS1 check digit of `digits` (without it): weights 3, 1, 3, ... from the right, modulo 10."""
    codes = digits.encode()
    first, second = codes[::-2], codes[-2::-2]
    total = 3 * (sum(first) - 48 * len(first)) + sum(second) - 48 * len(second)
    return str(-total % 10)


def is_gs1(meter_point_id: str) -> bool:
    """Return whether a text is 18 digits (0 to 9), the last of them the check digit of the others."""
    if len(meter_point_id) != _GS1_LENGTH or not (meter_point_id.isascii() and meter_point_id.isdigit()):
        return False
    return check_digit(meter_point_id[:-1]) == meter_point_id[-1]


def gs1_doubt(meter_point_id: str) -> str | None:
    """Return the warning that says why this is not a GS1 number, None when it is one."""
    if is_gs1(meter_point_id):
        return None
    if len(meter_point_id) == _GS1_LENGTH and meter_point_id.isascii() and meter_point_id.isdigit():
        wanted = check_digit(meter_point_id[:-1])
        return reg.WRONG_CHECK_DIGIT(value=meter_point_id, digit=meter_point_id[-1], wanted=wanted)
    return reg.NOT_GS1(value=meter_point_id)


def normalised(text: str) -> str:
    """Return `text` as identities compare it: one Unicode form, case and spacing ignored."""
    if not (text.isascii() or unicodedata.is_normalized("NFKC", text)):
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def identity(*parts: str | None) -> str:
    """Return one key for a site from its parts (name and address, or a key column); None counts as empty."""
    return "\x1f".join([normalised(part) if part else "" for part in parts])


def derived_resource_id(key: str) -> str:
    """Return the resource id (UUIDv5 text) that belongs to an identity."""
    digits = _uuid5(key)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def derived_meter_point_id(key: str, prefix: str = SAMPLE_PREFIX) -> str:
    """Return the 18-digit GS1 number that belongs to an identity, with a valid check digit."""
    room = _GS1_LENGTH - 1 - len(prefix)
    serial = int(_uuid5(f"meterpoint\x1f{key}"), 16) % 10**room
    body = f"{prefix}{serial:0{room}d}"
    return body + check_digit(body)


def identities(*columns: Sequence[str]) -> list[str]:
    """Return `identity` of each row of columns whose texts have no space but single ones between words."""
    return list(map("\x1f".join, zip(*map(_all_normalised, columns), strict=True)))


def _all_normalised(texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    whole = "\n".join(texts)
    if whole.isascii() or unicodedata.is_normalized("NFKC", whole):
        return whole.casefold().split("\n")  # no letter's case depends on those beside it
    return list(map(normalised, texts))


def derived_ids(keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return `derived_resource_id` and `derived_meter_point_id` of each key, in half their time."""
    site_ids, meter_ids = [], []
    weights, begun = _weights(), _NAMESPACE_BEGUN
    begun_meter = begun.copy()
    begun_meter.update(b"meterpoint\x1f")
    of_prefix = 10 - int(check_digit(SAMPLE_PREFIX))
    for key in keys:
        name = key.encode()
        hashed = begun.copy()
        hashed.update(name)
        hex_ = hashed.hexdigest()
        variant = _VARIANTS[hex_[16]]
        site_ids.append(f"{hex_[:8]}-{hex_[8:12]}-5{hex_[13:16]}-{variant}{hex_[17:20]}-{hex_[20:32]}")
        hashed = begun_meter.copy()
        hashed.update(name)
        number = int.from_bytes(hashed.digest()[:16], "big") & _NOT_FIXED | _VERSION_5
        serial = number % _SERIALS
        high, low = divmod(serial, 10_000)
        meter_ids.append(f"{SAMPLE_PREFIX}{serial:08d}{-(of_prefix + weights[high] + weights[low]) % 10}")
    return site_ids, meter_ids


@cache
def _weights() -> list[int]:
    """Return what four digits, an even number of places before the check digit, add to the sum behind it."""
    return [3 * (n % 10 + n // 100 % 10) + n // 10 % 10 + n // 1000 for n in range(10_000)]


def _uuid5(name: str) -> str:
    """Return the 32 digits of RFC 9562's UUIDv5, which uuid.uuid5 takes four times as long for."""
    begun = _NAMESPACE_BEGUN.copy()  # faster than hashing the namespace again
    begun.update(name.encode())
    digits = begun.hexdigest()
    return f"{digits[:12]}5{digits[13:16]}{'89ab'[int(digits[16], 16) & 3]}{digits[17:32]}"
