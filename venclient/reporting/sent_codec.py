"""The stored form of a report that was sent: compressed JSON with all that is needed to build it again.

    1 byte    the version of the form
    the rest  deflate, with a preset dictionary: a report on one interval takes about 200 bytes

A version's dictionary never changes, as what was stored with it can be read with no other.
"""

from __future__ import annotations

import zlib

import msgspec

from venclient.openadr.objects import Report
from venclient.reporting.obligations import Obligation

VERSION = b"\x01"
#: More than this is not decompressed: 50,000 values take a tenth of it.
MOST_BYTES = 64 * 2**20

#: What nearly all reports contain; what is most frequent comes last.
_DICTIONARY = (
    b'"unsaid":[["","DEMAND",0,"ESTIMATED"]],"methods":["BASELINE: "],"program":"","percent_of_full":1.0,'
    b'"ven_targets":[],"payloadType":"STORAGE_CHARGE_LEVEL","readingType":"DIRECT_READ","units":"PERCENT"'
    b'"payloadType":"READING","payloadType":"BASELINE","payloadType":"USAGE_FORECAST","readingType":"PEAK",'
    b'"values":["MISSING"],"values":["BAD"],"values":["OK"],{"resourceName":"AGGREGATED_REPORT"'
    b'"obligation":{"event_id":"","report_name":"","group":"","descriptors":[{"payloadType":"USAGE","readingType":'
    b'"DIRECT_READ","units":"KWH","startInterval":0,"numIntervals":1,"frequency":1,"repeat":-1}],'
    b'"spans":[{"id":0,"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:15:00Z"}],"due":"2026-01-01T00:15:'
    b'00Z","event_targets":[],"begins":"2026-01-01T00:00:00Z"},'
    b'{"report":{"eventID":"","clientName":"","reportName":"","payloadDescriptors":[{"objectType":'
    b'"REPORT_PAYLOAD_DESCRIPTOR","payloadType":"DEMAND","readingType":"MEAN","units":"KW"},{"objectType":'
    b'"REPORT_PAYLOAD_DESCRIPTOR","payloadType":"DATA_QUALITY"},{"objectType":"REPORT_PAYLOAD_DESCRIPTOR",'
    b'"payloadType":"USAGE","readingType":"DIRECT_READ","units":"KWH"}],"resources":[{"resourceName":"",'
    b'"intervalPeriod":{"start":"2026-01-01T00:00:00Z","duration":"PT1H"},"intervals":[{"id":0,"payloads":'
    b'[{"type":"DEMAND","values":[0.0]},{"type":"DATA_QUALITY","values":["ESTIMATED"]},'
    b'{"type":"USAGE","values":[0.0]}]}]},{"resourceName":"","intervalPeriod":{"start":"2026-01-01T00:00:00Z",'
    b'"duration":"PT15M"},"intervals":[{"id":0,"payloads":[{"type":"USAGE","values":[0.0]}]}]}'
)


class Unsaid(msgspec.Struct, frozen=True, array_like=True):
    """The quality of a value whose report had no room for it; `interval` is the id of the interval."""

    resource_name: str
    payload_type: str
    interval: int
    quality: str


class Sent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A report as it was sent, and what it was built from besides readings and resources.

    `obligation` says what was asked for. `methods` are how values that were not measured were computed,
    `program` is the id of the event's program. `unsaid` is None where it is not known
    what a report had no room for: it was read from the VTN.
    """

    report: Report
    obligation: Obligation | None = None
    methods: tuple[str, ...] = ()
    unsaid: tuple[Unsaid, ...] | None = None
    program: str = ""
    percent_of_full: float = 1.0
    ven_targets: tuple[str, ...] = ()


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Sent)


def encode(sent: Sent) -> bytes:
    """Return the stored form."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=_DICTIONARY)
    return VERSION + packer.compress(_encoder.encode(sent)) + packer.flush()


def decode(raw: bytes) -> Sent:
    """Return what was stored; ValueError for anything that `encode` did not make."""
    if raw[:1] != VERSION:
        raise ValueError(raw[:1])
    unpacker = zlib.decompressobj(-15, zdict=_DICTIONARY)
    try:
        text = unpacker.decompress(raw[1:], MOST_BYTES)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError(len(raw))
        return _decoder.decode(text)
    except (zlib.error, msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
