"""The whole catalogue: every area's messages by code, for the reference page and for tests."""

from __future__ import annotations

import importlib
import pkgutil

import venclient.messages
from venclient.messages import Message

#: Modules of the package that hold no messages.
_MACHINERY = frozenset({"catalogue", "printable"})


def areas() -> dict[str, dict[str, Message]]:
    """Return the messages of each area: {module name: {constant name: message}}, in the order written."""
    found = {}
    for module in pkgutil.iter_modules(venclient.messages.__path__):
        if module.name not in _MACHINERY:
            loaded = importlib.import_module(f"venclient.messages.{module.name}")
            found[module.name] = {
                name: value for name, value in vars(loaded).items() if isinstance(value, Message)
            }
    return found


def by_code() -> dict[str, Message]:
    """Return every message by its code; ValueError when two share one."""
    found: dict[str, Message] = {}
    for area, messages in areas().items():
        for name, message in messages.items():
            if message.code in found and found[message.code] is not message:
                raise ValueError(f"{message.code} stands twice: {area}.{name} and {found[message.code]}")
            found[message.code] = message
    return found
