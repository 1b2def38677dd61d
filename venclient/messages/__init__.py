"""Every message that a user can see: a stable code, a template, and the parameters that fill it.

Each area has a module with its messages (`registry.py` has VEN-REG-..., `importing.py` VEN-IMP-...). Calling
a message with its parameters returns a `Text`: a `str` that still knows its code, parameters and hint, and
can be raised, logged, listed and stored like any other string.

    PORT = error("VEN-REG-014", "invalid port {port}: must be 1 to 65535", hint="correct the port")
    raise InvalidRecord(PORT(port=99999), subject="Hotel Nord")
    log.warning(PORT(port=99999))

A template writes `{name}` for a parameter, `{name!r}` for its repr, `{names}` for a list (joined with commas)
and `{count:site|sites}` for a number with its noun. Codes keep their meaning and are never used again.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from venclient.messages.printable import is_huge, printable, repr_of

#: Characters that may stand before or after a message: places, hints and lists of our own.
MOST_AROUND = 20_000
_ERRNO = re.compile(r"\[Errno -?\d+\] ")


class Level(StrEnum):
    """How serious a message is; logs and the CLI show the code of warnings and errors."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Text(str):
    """A message with its parameters filled in: a `str` that keeps `code`, `params` and `hint`."""

    __slots__ = ("message", "params")
    message: Message
    params: Mapping[str, Any]

    @staticmethod
    def of(message: Message, params: Mapping[str, Any]) -> Text:
        """Return the text of `message` with `params` filled in."""
        return _restored(_FORMATTER.vformat(message.template, (), params), message, params)

    @property
    def code(self) -> str:
        """The stable code of the message, such as VEN-REG-014."""
        return self.message.code

    @property
    def level(self) -> Level:
        """How serious the message is."""
        return self.message.level

    @property
    def hint(self) -> str:
        """What to do next, with the same parameters filled in; empty when the message has no hint."""
        return _FORMATTER.vformat(self.message.hint, (), self.params)

    def within(self, before: str = "", after: str = "") -> Text:
        """Return this text with more in front or behind, under the same code, parameters and hint."""
        before, after = printable(before, MOST_AROUND), printable(after, MOST_AROUND)
        return _restored(f"{before}{self}{after}", self.message, self.params)

    def mapped(self, change: Callable[[str], str]) -> Text:
        """Return this text with `change` applied to its words and to every parameter that is text."""
        params = {
            name: change(value) if isinstance(value, str) else value for name, value in self.params.items()
        }
        return _restored(change(str(self)), self.message, params)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (str(self), self.message, dict(self.params))


def _restored(words: str, message: Message, params: Mapping[str, Any]) -> Text:
    text = Text(words)
    text.message = message
    text.params = params
    return text


@dataclass(frozen=True)
class Message:
    """One entry of the catalogue. Call it with the parameters of its template to get a `Text`."""

    code: str
    template: str
    hint: str = ""
    level: Level = Level.ERROR

    def __call__(self, **params: Any) -> Text:
        """Return the message with `params` filled in; KeyError when a parameter is missing."""
        return Text.of(self, params)

    @property
    def names(self) -> frozenset[str]:
        """The parameters that the template and the hint use."""
        return frozenset(
            _root(field)
            for part in (self.template, self.hint)
            for _, field, _, _ in _FORMATTER.parse(part)
            if field
        )


def error(code: str, template: str, *, hint: str = "") -> Message:
    """Return a message about something that could not be done."""
    return Message(code, template, hint, Level.ERROR)


def warning(code: str, template: str, *, hint: str = "") -> Message:
    """Return a message about something that was done, but may not be what was meant."""
    return Message(code, template, hint, Level.WARNING)


def info(code: str, template: str, *, hint: str = "") -> Message:
    """Return a message about something that went as intended."""
    return Message(code, template, hint, Level.INFO)


def code_of(text: object) -> str:
    """Return the code of a `Text` or of an error that carries one, else an empty string."""
    code = getattr(text, "code", "")
    return code if isinstance(code, str) else ""


def text_of(failure: BaseException) -> str:
    """Return the message of an exception: a `Text` where it was raised with one, else its words.

    The number of an error of the operating system is left out: "Permission denied: /var/ven".
    """
    if failure.args and isinstance(failure.args[0], Text):
        return failure.args[0]
    if isinstance(failure, OSError) and failure.strerror:
        place = failure.filename
        return f"{failure.strerror}: {printable(place)}" if isinstance(place, str) else failure.strerror
    return printable(_ERRNO.sub("", str(failure)))


def within(text: str, before: str = "", after: str = "") -> str:
    """Return `text` with more in front or behind; a `Text` keeps its code, as `Text.within` does."""
    return text.within(before, after) if isinstance(text, Text) else f"{before}{text}{after}"


def with_code(text: str) -> str:
    """Return `text` as people see it: a warning or error ends with its code in brackets."""
    if isinstance(text, Text) and text.level is not Level.INFO:
        return f"{text} [{text.code}]"
    return str(text)


def in_full(text: str) -> str:
    """Return `text` as logs and notes show it: a warning or error with what to do and its code."""
    if isinstance(text, Text) and text.level is not Level.INFO and text.hint:
        return f"{text}; {text.hint} [{text.code}]"
    return with_code(text)


class _Formatter(string.Formatter):
    """Fills templates: lists are joined, numbers get their noun, foreign text becomes printable."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        value = kwargs[key] if isinstance(key, str) else args[key]
        return _plain(value)

    def format_field(self, value: Any, format_spec: str) -> Any:
        if is_huge(value):
            return repr_of(value)
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return f"{value:,} {one if value == 1 else many}"
        return printable(super().format_field(value, format_spec))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return repr_of(value) if conversion == "r" else super().convert_field(value, conversion)


def _plain(value: Any) -> Any:
    """Return a parameter as a template shows it; an error inside another message shows no code."""
    if isinstance(value, BaseException):
        return getattr(value, "text", None) or text_of(value) or type(value).__name__
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return ", ".join(repr_of(item) if is_huge(item) else str(_plain(item)) for item in items)
    return value


def _root(field: str) -> str:
    """Return the parameter of a template field such as "error.title" or "names[0]"."""
    return field.partition(".")[0].partition("[")[0]


_FORMATTER = _Formatter()
