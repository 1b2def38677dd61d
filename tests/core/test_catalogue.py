"""The catalogue of messages as a whole: each is used, keeps its code, and names commands that exist."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main
from typer.testing import CliRunner

import venclient
from venclient.cli import app
from venclient.messages import Message
from venclient.messages.catalogue import areas, by_code
from venclient.settings import SETTINGS

#: What stands for a value in a hint: `ven read ID`, `--config {config}`.
VALUE = re.compile(r"^(\{.*\}|[A-Z][A-Z_.=]*|[\w./-]*\.\w+|.*=.*|\d+\S*)$")

#: Endings of file names that look like settings: ven.toml, status.json.
FILES = {"toml", "db", "json", "csv", "md"}


def _used(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (area, constant) of the messages that a module names."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    aliases: dict[str, str] = {}
    constants: dict[str, tuple[str, str]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == "venclient.messages":
            aliases |= {name.asname or name.name: name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("venclient.messages."):
            area = str(node.module).removeprefix("venclient.messages.")
            constants |= {name.asname or name.name: (area, name.name) for name in node.names}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield aliases[node.value.id], node.attr
        elif isinstance(node, ast.Name) and node.id in constants:
            yield constants[node.id]


def test_every_message_of_the_catalogue_is_used(root: Path) -> None:
    """A message that nothing names any more is removed."""
    sources = [
        path for path in (root / "venclient").rglob("*.py") if path.parent != root / "venclient" / "messages"
    ]
    used = {found for path in [*sources, root / "prepare_samples.py"] for found in _used(path)}
    unused = [
        f"{message.code} {area}.{name}"
        for area, messages in areas().items()
        for name, message in messages.items()
        if (area, name) not in used
    ]
    assert not unused


def test_no_message_stands_twice_under_two_codes() -> None:
    """The same words about the same thing have one code within an area."""
    twice = []
    for area, messages in areas().items():
        known: dict[tuple[str, str, str], str] = {}
        for message in messages.values():
            form = (message.template, message.hint, message.level.value)
            if form in known and "{" not in message.template:
                twice.append(f"{area}: {known[form]} and {message.code}")
            known[form] = message.code
    assert not twice


def test_a_code_keeps_its_message_for_ever(root: Path) -> None:
    """tools/message_codes.txt has every code there has been; none was given to another message."""
    lines = (root / "tools" / "message_codes.txt").read_text(encoding="utf-8").splitlines()
    ever = dict(line.split() for line in lines)
    now = {
        message.code: f"{area}.{name}"
        for area, messages in areas().items()
        for name, message in messages.items()
    }
    assert {code: ever.get(code) for code in now} == now


def test_a_code_that_gets_another_message_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator of the reference ends when a code of the past has a new meaning."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.setitem(sys.modules, "reference", None)
    sys.modules.pop("reference")
    import reference  # type: ignore[import-not-found]

    code = next(iter(by_code()))
    ledger = tmp_path / "codes.txt"
    ledger.write_text("VEN-OLD-001 old.GONE\n")
    assert reference.codes_page(ledger).startswith("VEN-")
    assert "VEN-OLD-001 old.GONE\n" in reference.codes_page(ledger)
    ledger.write_text(f"{code} another.MEANING\n")
    with pytest.raises(SystemExit):
        reference.codes_page(ledger)


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each `ven ...` command in a template or hint."""
    for quoted in re.findall(r"`([^`]*)`", text):
        for part in re.split(r" \| | && ", quoted):
            words = part.split()
            if words and words[0] == "ven":
                yield words
    bare = re.sub(r"`[^`]*`", "", text)
    for found in re.finditer(r"\bven (?!or\b)(?:[a-z][\w-]*|--[a-z-]+)(?: [^ ;,()]+)*", bare):
        yield found[0].split()


def _mistakes(words: list[str]) -> Iterator[str]:
    """Yield what a command line names that the program does not have."""
    command: Any = typer.main.get_command(app)
    root_options = {option for param in command.params for option in param.opts}
    for word in (word.rstrip(".:") for word in words[1:]):
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        if word.startswith("-"):
            if word.partition("=")[0] not in known | root_options | {"--help"}:
                yield f"{' '.join(words)}: no option {word}"
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
        elif getattr(command, "commands", None):
            yield f"{' '.join(words)}: no command {word}"
            return
        elif not VALUE.match(word):
            return  # the sentence goes on
    group = bool(getattr(command, "commands", None)) and not command.invoke_without_command
    if group and len(words) > 1 and not words[-1].startswith("-"):
        yield f"{' '.join(words)}: names a group, not a command"


def _texts(message: Message) -> str:
    # ` --vtn NAME`, or nothing, is filled in for {option}.
    return f"{message.template}\n{message.hint}".replace("{option}", "")


def test_every_command_that_a_message_names_exists() -> None:
    """Words and options of `ven ...` in templates and hints are those of the program."""
    wrong = [
        f"{code}: {mistake}"
        for code, message in by_code().items()
        for words in _commands(_texts(message))
        for mistake in _mistakes(words)
    ]
    assert not wrong


def test_every_option_that_a_message_names_exists() -> None:
    """An option by itself (`--keep-good`) belongs to some command of the program."""
    known: set[str] = set()

    def walk(command: Any) -> None:
        known.update(option for param in command.params for option in (*param.opts, *param.secondary_opts))
        for child in getattr(command, "commands", {}).values():
            walk(child)

    walk(typer.main.get_command(app))
    wrong = [
        f"{code}: {option}"
        for code, message in by_code().items()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", _texts(message))
        if option not in known
    ]
    assert not wrong


def test_every_setting_that_a_message_names_exists() -> None:
    """A name such as vtn.client_secret in a template or hint is one of the settings."""
    known = {setting.key for setting in SETTINGS}
    sections = {key.partition(".")[0] for key in known}
    wrong = []
    for code, message in by_code().items():
        for section, name in re.findall(r"(?<![\w.{/-])([a-z]+)\.([a-z_]+)\b(?![./(])", _texts(message)):
            key = f"{section}.{name}"
            of_resource = section == "reporting" and code.startswith("VEN-REG")
            if section in sections and name not in FILES and key not in known and not of_resource:
                wrong.append(f"{code}: {key}")
    assert not wrong


@pytest.mark.parametrize(
    "words",
    ["ven db chek", "ven resources list --ordr", "ven resources", "ven rn"],
)
def test_a_command_that_does_not_exist_is_found(words: str) -> None:
    """The check of commands finds a misspelt command or option, and a group without a command."""
    assert list(_mistakes(words.split()))


#: Names in messages that are neither option, setting nor field: of Python, PostgreSQL, and columns of files.
OTHER_NAMES = {
    "capacities_json",
    "connection_type",
    "get_connections",
    "insert_connection",
    "local_url",
    "location_json",
    "max_connections",
    "meter_point_id",
    "meterpoint_id",
    "pg_dump",
    "pg_restore",
    "power_kw",
    "read_targets",
    "resource_sub_type",
    "update_resource",
    "upsert_resource",
    "write_vens",
}
_NAME = re.compile(r"(?<![\w.{/:-])([a-z]+(?:_[a-z0-9]+)+)(?![\w}.(:/!])")
_PAGE = re.compile(r"docs/[\w/-]+(?:\.md(?:#[\w-]+)?)?")


def _fields() -> set[str]:
    """Return the names of all options, settings and fields of the program."""
    found = {setting.key.partition(".")[2] for setting in SETTINGS}
    for module in pkgutil.walk_packages(venclient.__path__, "venclient."):
        if re.search(r"\.(simulation|registry\.migrations|__main__|registry_dropins)\b", module.name):
            continue
        for one in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(one) and issubclass(one, msgspec.Struct):
                found |= {field.encode_name for field in msgspec.structs.fields(one)}
            elif inspect.isclass(one) and dataclasses.is_dataclass(one):
                found |= {field.name for field in dataclasses.fields(one)}
    return found


def test_every_option_of_a_connection_that_a_message_names_exists() -> None:
    """A name such as transaction_ids in a message is an option, a setting or a field of some object."""
    known = _fields() | OTHER_NAMES
    wrong = {
        f"{code}: {name}"
        for code, message in by_code().items()
        for name in _NAME.findall(_texts(message))
        if name not in known
    }
    assert not wrong


def _pages(root: Path) -> Iterator[str]:
    """Yield the pages that messages and modules name."""
    for message in by_code().values():
        yield from _PAGE.findall(_texts(message))
    for path in (root / "venclient").rglob("*.py"):
        yield from re.findall(r'"(docs/[\w/-]+\.md(?:#[\w-]+)?)"', path.read_text(encoding="utf-8"))


def test_every_page_that_a_message_names_exists(root: Path) -> None:
    """Pages of the documentation are there, with the heading that an anchor means."""
    for page in set(_pages(root)):
        name, _, anchor = page.partition("#")
        assert (root / name).exists(), page
        if anchor:
            text = (root / name).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings]
            assert anchor in slugs, page


def test_every_command_of_a_hint_can_be_asked_for_its_help() -> None:
    """The words before the first value are a command: it prints its help."""
    lines = {" ".join(words) for message in by_code().values() for words in _commands(_texts(message))}
    commands = set()
    for line in lines:
        words = line.split()[1:]
        stop = next((n for n, one in enumerate(words) if not re.fullmatch(r"[a-z-]+", one)), len(words))
        commands.add(tuple(one for one in words[:stop] if not one.startswith("-"))[:2])
    for named in commands:
        shown = CliRunner().invoke(app, [*named, "--help"])
        if shown.exit_code:  # the second word is part of the sentence
            shown = CliRunner().invoke(app, [*named[:1], "--help"])
        assert shown.exit_code == 0, named
    assert len(commands) > 20
