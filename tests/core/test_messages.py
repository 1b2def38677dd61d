"""The catalogue of messages, and what becomes of a message that is raised, listed or shown."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.errors import ConfigError, InvalidRecord
from venclient.messages import Message, Text, code_of, error, info, text_of, with_code, within
from venclient.messages.catalogue import areas, by_code
from venclient.messages.printable import FOREIGN_LIMIT, foreign, printable, without_name
from venclient.notes import Notes
from venclient.utils import redact

PORT = error("VEN-XXX-001", "invalid port {port}: must be 1 to 65535", hint="correct {port} in {place}")


def test_a_text_is_a_str_that_keeps_its_code_and_hint() -> None:
    """A message called with its parameters is text, and still has code, parameters and hint."""
    text = PORT(port=99999, place="ven.toml")
    assert text == "invalid port 99999: must be 1 to 65535"
    assert (text.code, text.hint) == ("VEN-XXX-001", "correct 99999 in ven.toml")
    assert pickle.loads(pickle.dumps(text)).code == "VEN-XXX-001"


def test_an_error_takes_code_and_hint_from_its_message() -> None:
    """An error shows subject, message, hint and code in this order; its problems keep their codes."""
    raised = InvalidRecord(PORT(port=0, place="the row"), subject="Hotel Nord")
    assert str(raised) == "Hotel Nord: invalid port 0: must be 1 to 65535; correct 0 in the row [VEN-XXX-001]"
    assert code_of(raised) == code_of(raised.problems[0]) == "VEN-XXX-001"
    assert str(ConfigError("plain", hint="act")) == "plain; act"


def test_an_error_inside_a_message_shows_no_second_code() -> None:
    """A message about another error shows that error's words without its code."""
    cause = ConfigError(PORT(port=0, place="x"))
    outer = error("VEN-XXX-002", "cannot start: {cause}")(cause=cause)
    assert (
        with_code(outer) == "cannot start: invalid port 0: must be 1 to 65535; correct 0 in x [VEN-XXX-002]"
    )


def test_only_warnings_and_errors_show_their_code() -> None:
    """Information for people carries no code on the screen."""
    assert with_code(info("VEN-XXX-003", "all is well")()) == "all is well"
    assert with_code("no message of ours") == "no message of ours"


def test_the_message_of_another_exception_is_found_again() -> None:
    """A ValueError raised with a message gives that message back."""
    assert code_of(text_of(ValueError(PORT(port=1, place="x")))) == "VEN-XXX-001"
    assert text_of(ValueError("other")) == "other"


def test_numbers_have_their_noun_and_lists_are_joined() -> None:
    """A template says one site, 2 sites, and a list with commas."""
    message = error("VEN-XXX-004", "{count:site|sites}: {names}")
    assert message(count=1, names=["a"]) == "1 site: a"
    assert message(count=2_000, names=("a", "b")) == "2,000 sites: a, b"


@given(st.text())
def test_no_parameter_brings_a_control_character(foreign_text: str) -> None:
    """Line ends, escapes and direction marks in a parameter are shown, not sent to the terminal."""
    text = error("VEN-XXX-005", "value {value}")(value=foreign_text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b]", text)


@given(st.text(max_size=1_000))
def test_foreign_text_is_bounded(text: str) -> None:
    """What is shown of a foreign value has at most 200 characters, escapes included."""
    for one in (text, f"{text}\U000e0001" * 99, text.encode("ascii", "ignore").decode()):
        assert len(foreign(one)) <= FOREIGN_LIMIT
        assert len(printable(one, 10)) <= 10
        assert foreign(one).isprintable() == printable(one).isprintable()


def test_codes_are_unique_and_belong_to_their_area() -> None:
    """Every code stands once, has the form VEN-AREA-NNN, and one area has one prefix, in ascending order."""
    by_code()
    prefixes: dict[str, str] = {}
    for area, messages in areas().items():
        codes = [message.code for message in messages.values()]
        assert all(re.fullmatch(r"VEN-[A-Z]{3}-\d{3}", code) for code in codes), area
        assert codes == sorted(codes), area
        assert len({code[:7] for code in codes}) <= 1, area
        for code in codes:
            assert prefixes.setdefault(code[:7], area) == area


def _used(module: ast.Module) -> dict[str, str]:
    """Return the aliases of message modules in a module: {alias: area}."""
    return {
        name.asname or name.name: name.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "venclient.messages"
        for name in node.names
    } | {
        name.asname: name.name.removeprefix("venclient.messages.")
        for node in ast.walk(module)
        if isinstance(node, ast.Import)
        for name in node.names
        if name.asname and name.name.startswith("venclient.messages.")
    }


def _constants(module: ast.Module) -> dict[str, tuple[str, str]]:
    """Return messages imported by name: {alias: (area, constant)}."""
    return {
        name.asname or name.name: (node.module.removeprefix("venclient.messages."), name.name)
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("venclient.messages.")
        for name in node.names
    }


def test_every_call_of_a_message_names_exactly_its_parameters(root: Path) -> None:
    """No call of a message lacks a parameter of its template, or names one that no template has."""
    known = areas()
    wrong = []
    for path in sorted((root / "venclient").rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        aliases, constants = _used(module), _constants(module)
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            message: Message | None = None
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                message = known.get(aliases.get(node.func.value.id, ""), {}).get(node.func.attr)
            elif isinstance(node.func, ast.Name) and node.func.id in constants:
                area, name = constants[node.func.id]
                message = known.get(area, {}).get(name)
            if message is None or any(keyword.arg is None for keyword in node.keywords):
                continue
            given_names = {keyword.arg for keyword in node.keywords}
            if given_names != message.names or node.args:
                wrong.append(
                    f"{path.relative_to(root)}:{node.lineno}: {message.code} {given_names ^ message.names}"
                )
    assert not wrong


def test_a_missing_parameter_is_an_error() -> None:
    """A message called without a parameter of its template raises KeyError."""
    with pytest.raises(KeyError):
        PORT(place="x")


def test_a_text_within_another_keeps_its_code_however_often() -> None:
    """Places in front and words behind leave code and hint as they are, also twice and after pickling."""
    text = PORT(port=0, place="x").within("options.").within("connection: ", " (later)")
    copy = pickle.loads(pickle.dumps(text))
    assert text == copy == "connection: options.invalid port 0: must be 1 to 65535 (later)"
    assert (copy.code, copy.hint) == (text.code, text.hint) == ("VEN-XXX-001", "correct 0 in x")


def test_an_error_with_place_and_hint_is_still_a_message() -> None:
    """The words of an error keep its code when they are put behind a place, or listed."""
    raised = ConfigError(PORT(port=0, place="x"), subject="Hotel")
    text = within(raised.text, "row 3: ")
    assert text == "row 3: Hotel: invalid port 0: must be 1 to 65535; correct 0 in x"
    assert code_of(text) == "VEN-XXX-001"
    assert within("plain", "row 3: ", " (later)") == "row 3: plain (later)"


def test_a_secret_is_struck_out_of_a_message_and_its_hint() -> None:
    """A message without its secret is still one, and its parameters hold no secret either."""
    text = redact(PORT(port=1, place="the hunter2 file"), ["hunter2"])
    assert isinstance(text, Text)
    assert (text.code, text.hint) == ("VEN-XXX-001", "correct 1 in the *** file")


def test_a_failure_is_logged_with_its_code_and_what_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    """A note of one VTN among several names it, and what is logged is still a message."""
    Notes("VTN operator: ").begin("clock", PORT(port=0, place="x"))
    (record,) = caplog.records
    assert record.msg == "VTN operator: invalid port 0: must be 1 to 65535"
    assert code_of(record.msg) == "VEN-XXX-001"


def test_an_error_of_the_system_is_shown_without_its_number() -> None:
    """What the operating system says is shown in words, with the file that it is about."""
    assert text_of(PermissionError(13, "Permission denied", "/var/ven")) == "Permission denied: /var/ven"
    assert text_of(ConnectionRefusedError(111, "Connection refused")) == "Connection refused"
    assert text_of(Exception("[Errno -2] Name or service not known")) == "Name or service not known"
    message = error("VEN-XXX-006", "cannot start ({problem})")
    assert message(problem=OSError(28, "No space left")) == "cannot start (No space left)"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("Kro (mqtt h:1 t): no value; look [VEN-CON-101]", "mqtt h:1 t: no value; look [VEN-CON-101]"),
        ("modbustcp h:502: cannot connect", "modbustcp h:502: cannot connect"),
        ("Kro (north): no", "north: no"),
        ("Kro Nord (mqtt h t): no", "Kro Nord (mqtt h t): no"),
        ("Kro (cut", "Kro (cut"),
    ],
)
def test_a_reason_behind_a_name_does_not_repeat_it(reason: str, shown: str) -> None:
    """The endpoint stays; a reason about another resource is left as it is."""
    assert without_name(reason, "Kro") == shown
