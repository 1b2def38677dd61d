"""Frames as they are on the wire, byte by byte: requests, answers, and what is not a frame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.test_modbus_registers import register
from venclient.connectors.blocks import Block
from venclient.connectors.modbus_frames import (
    Answer,
    Framing,
    Garbage,
    Question,
    RtuFraming,
    TcpFraming,
    read_question,
    write_coil_question,
    write_question,
)

#: Type and other options, request, answer, value. Unit 17, transaction 0x0102, holding register 107 and on.
GOLDEN: list[tuple[dict[str, Any], str, str, float | None]] = [
    ({"type": "int16"}, "0102 0000 0006 11 03 006b 0001", "0102 0000 0005 11 03 02 fe0c", -500),
    ({"type": "uint16"}, "0102 0000 0006 11 03 006b 0001", "0102 0000 0005 11 03 02 fe0c", 65036),
    ({"type": "int8"}, "0102 0000 0006 11 03 006b 0001", "0102 0000 0005 11 03 02 01ff", -1),
    (
        {"type": "uint8", "byte": "high"},
        "0102 0000 0006 11 03 006b 0001",
        "0102 0000 0005 11 03 02 7f01",
        127,
    ),
    (
        {"type": "bool", "bit": 9},
        "0102 0000 0006 11 03 006b 0001",
        "0102 0000 0005 11 03 02 0200",
        1,
    ),
    ({"type": "int32"}, "0102 0000 0006 11 03 006b 0002", "0102 0000 0007 11 03 04 ffff fe0c", -500),
    ({"type": "uint32"}, "0102 0000 0006 11 03 006b 0002", "0102 0000 0007 11 03 04 0001 86a0", 100_000),
    (
        {"type": "uint32", "word_order": "little"},
        "0102 0000 0006 11 03 006b 0002",
        "0102 0000 0007 11 03 04 86a0 0001",
        100_000,
    ),
    (
        {"type": "int64", "byte_order": "little"},
        "0102 0000 0006 11 03 006b 0004",
        "0102 0000 000b 11 03 08 ffff ffff ffff 0cfe",
        -500,
    ),
    (
        {"type": "uint64"},
        "0102 0000 0006 11 03 006b 0004",
        "0102 0000 000b 11 03 08 0000 0000 0001 0000",
        65536,
    ),
    ({"type": "float16"}, "0102 0000 0006 11 03 006b 0001", "0102 0000 0005 11 03 02 c0e0", -2.4375),
    ({"type": "float32"}, "0102 0000 0006 11 03 006b 0002", "0102 0000 0007 11 03 04 4366 8000", 230.5),
    (
        {"type": "float64"},
        "0102 0000 0006 11 03 006b 0004",
        "0102 0000 000b 11 03 08 406c d000 0000 0000",
        230.5,
    ),
    ({"type": "mod10k32"}, "0102 0000 0006 11 03 006b 0002", "0102 0000 0007 11 03 04 04d2 162e", 12_345_678),
    (
        {"type": "mod10k48"},
        "0102 0000 0006 11 03 006b 0003",
        "0102 0000 0009 11 03 06 0001 0000 0002",
        100_000_002,
    ),
    (
        {"type": "mod10k64"},
        "0102 0000 0006 11 03 006b 0004",
        "0102 0000 000b 11 03 08 0000 0001 0000 0002",
        100_000_002,
    ),
    (
        {"type": "string", "length": 3},
        "0102 0000 0006 11 03 006b 0003",
        "0102 0000 0009 11 03 06 3233 302e 3500",
        230.5,
    ),
    (
        {"type": "uint32", "kind": "input", "nan": True},
        "0102 0000 0006 11 04 006b 0002",
        "0102 0000 0007 11 04 04 ffff ffff",
        None,
    ),
    ({"type": "bool", "kind": "coil"}, "0102 0000 0006 11 01 006b 0001", "0102 0000 0004 11 01 01 01", 1),
    ({"type": "bool", "kind": "discrete"}, "0102 0000 0006 11 02 006b 0001", "0102 0000 0004 11 02 01 00", 0),
]


@pytest.mark.parametrize(("members", "request_hex", "answer_hex", "value"), GOLDEN)
def test_golden_frames_of_every_type(
    members: dict[str, Any], request_hex: str, answer_hex: str, value: float | None
) -> None:
    """Each type asks with the bytes that the standard has, and reads the value that the answer holds."""
    block = Block([register(address=107, **members)])
    question = read_question(17, block.kind, block.address, block.count)
    framing = TcpFraming()

    assert framing.frame(0x0102, question).hex() == request_hex.replace(" ", "")
    [answer] = framing.feed(bytes.fromhex(answer_hex))
    assert answer[:3] == (0x0102, 17, question.function)
    assert len(answer.data) == question.size
    assert block.decode(answer.data) == ([] if value is None else [("power_kw", value)])


@pytest.mark.parametrize(
    ("question", "sent"),
    [
        (write_question(17, 1, [3], multiple=False), "0102 0000 0006 11 06 0001 0003"),
        (write_question(17, 1, [10, 258], multiple=True), "0102 0000 000b 11 10 0001 0002 04 000a 0102"),
        (write_coil_question(17, 172, True), "0102 0000 0006 11 05 00ac ff00"),
        (write_coil_question(17, 172, False), "0102 0000 0006 11 05 00ac 0000"),
    ],
)
def test_golden_frames_of_writing(question: Question, sent: str) -> None:
    """Single and multiple registers and coils are written with functions 6, 16 and 5."""
    assert TcpFraming().frame(0x0102, question).hex() == sent.replace(" ", "")


def test_golden_frames_of_rtu() -> None:
    """RTU has unit, function, data and the checksum, low byte first."""
    framing = RtuFraming()
    question = read_question(17, "holding", 107, 3)

    assert framing.frame(0x0102, question) == bytes.fromhex("11 03 006b 0003 7687")
    assert framing.feed(bytes.fromhex("11 03 06 ae41 5652 4340 49ad")) == [
        Answer(0, 17, 3, bytes.fromhex("ae4156524340"))
    ]
    assert framing.feed(bytes.fromhex("0a 81 02 b053")) == [Answer(0, 10, 0x81, b"\x02")]


@pytest.mark.parametrize("data", ["11 03 06 ae41 5652 4340 49ae", "48 54 54 50 2f 31", "11 55 00 00 00"])
def test_rtu_with_a_wrong_checksum_or_function_is_garbage(data: str) -> None:
    """What a noisy line makes of an answer is not believed."""
    with pytest.raises(Garbage):
        RtuFraming().feed(bytes.fromhex(data))


ANSWERS = st.builds(
    lambda tid, unit, words: (tid, unit, b"".join(w.to_bytes(2, "big") for w in words)),
    st.integers(1, 65535),
    st.integers(0, 255),
    st.lists(st.integers(0, 65535), min_size=1, max_size=30),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([TcpFraming, RtuFraming]), st.lists(ANSWERS, min_size=1, max_size=5), st.data())
def test_answers_are_found_however_the_stream_is_cut(
    kind: type[TcpFraming] | type[RtuFraming], answers: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    """TCP may cut and join frames anywhere; the same answers come out."""
    framing: Framing = kind()
    stream = b""
    for tid, unit, payload in answers:
        body = Question(unit, 3, bytes([3, len(payload)]) + payload, 0, "")
        stream += framing.frame(tid, body)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    found: list[Answer] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += framing.feed(stream[start:end])

    assert [(a.unit, a.data) for a in found] == [(unit, payload) for _, unit, payload in answers]
    assert framing.partial == 0
    if framing.tells_apart:
        assert [a.transaction for a in found] == [tid for tid, _, _ in answers]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([TcpFraming, RtuFraming]), st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_break_the_framing(kind: type[TcpFraming] | type[RtuFraming], pieces: list[bytes]) -> None:
    """Whatever comes is an answer, part of one, or garbage."""
    framing = kind()
    try:
        for piece in pieces:
            framing.feed(piece)
    except Garbage:
        pass
    assert framing.partial <= 600
