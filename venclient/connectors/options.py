"""Checks a connection's options against a connector's Struct and finds every mistake, not just the first."""

from __future__ import annotations

import difflib
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from venclient.connectors.mistakes import placed, problems_of, shown
from venclient.errors import ConfigError
from venclient.messages import connectors as con
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.model.quality import BACKFILL, COMMON, QUALITY, STALE_AFTER, Positive, QuantityRules
from venclient.model.reading import QUANTITIES
from venclient.model.resource import Resource

S = TypeVar("S", bound=msgspec.Struct)


def subject_of(resource: Resource) -> str:
    """Name a resource with its endpoint, as errors about its connection do."""
    return f"{resource.resourceName} ({resource.connection.endpoint})"


def check_options(raw: Mapping[str, Any] | None, form: type[S]) -> tuple[S | None, list[str]]:
    """Convert the options to `form`; return None with one sentence per mistake if they are wrong."""
    given: Mapping[str, Any] = {} if raw is None else raw
    problems = list(_mistakes("options", given, form))
    if problems:
        return None, problems
    return msgspec.convert(given, form), []


def quality_problems(options: Mapping[str, Any] | None, *, named: Collection[str] | None = ()) -> list[str]:
    """Return one sentence for each mistake in the options that every connection may have.

    Rules are for quantities that are known to all, that the options name, or that are in `named`; None
    where a connector of another package may have any.
    """
    given = (options or {}).get(QUALITY)
    found = _mistakes(f"options.{BACKFILL}", (options or {}).get(BACKFILL, False), bool)
    if given is None:
        return found
    place = f"options.{QUALITY}"
    if not isinstance(given, Mapping):
        return [*found, con.QUALITY_FORM(place=place)]
    if STALE_AFTER in given:
        found += _mistakes(f"{place}.{STALE_AFTER}", given[STALE_AFTER], Positive)
        given = without(given, STALE_AFTER)
    known = None
    if named is not None:
        known = {*QUANTITIES, *named, *quantities_named(without(options, QUALITY))}
    return found + [
        m for name, rules in given.items() for m in _rule_mistakes(place, str(name), rules, known)
    ]


def _rule_mistakes(place: str, name: str, rules: object, known: Collection[str] | None) -> Iterator[str]:
    if known is not None and name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        suggestion = con.DID_YOU_MEAN(names=near) if near else con.VALID(names=sorted(known))
        yield con.QUALITY_UNKNOWN(place=f"{place}.{foreign(name)}", suggestion=suggestion)
    yield from _mistakes(f"{place}.{name}", rules, QuantityRules)
    counts = isinstance(rules, Mapping) and rules.get("counter") is not None
    if counts and known is not None and name in known and QUANTITIES.get(name) != "register":
        registers = [one for one, kind in QUANTITIES.items() if kind == "register"]
        yield con.QUALITY_COUNTER(place=f"{place}.{name}.counter", quantity=name, registers=registers)


def quantities_named(options: object) -> set[str]:
    """Return the names of quantities in a connection's options, wherever they stand there."""
    if isinstance(options, Mapping):
        found = {options["quantity"]} if isinstance(options.get("quantity"), str) else set()
        return found.union(*map(quantities_named, options.values()))
    return set().union(*map(quantities_named, options)) if isinstance(options, list | tuple) else set()


def without(options: Mapping[str, Any] | None, *names: str) -> dict[str, Any]:
    """Return options without some of them."""
    return {key: value for key, value in (options or {}).items() if key not in names}


def without_quality(resource: Resource) -> Resource:
    """Return the resource without the options that every connection may have."""
    options = resource.connection.options
    if not options or not COMMON & options.keys():
        return resource
    return replace(resource, connection=replace(resource.connection, options=without(options, *COMMON)))


def refuse(resource: Resource, problems: Sequence[str], *, page: str) -> ConfigError:
    """Build the error that lists all mistakes of one connection; `page` is the document to look in."""
    return ConfigError(
        con.MISTAKES(count=len(problems), problems="; ".join(map(with_code, problems)), page=page),
        subject=subject_of(resource),
        problems=tuple(problems),
    )


def _mistakes(place: str, value: object, form: Any) -> list[str]:
    bare = form
    while get_origin(bare) is Annotated:
        bare = get_args(bare)[0]
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _struct_mistakes(place, value, bare)
    optional = _optional_struct(bare)
    if optional is not None:
        return [] if value is None else _struct_mistakes(place, value, optional)
    items = _struct_items(bare)
    if items is not None and isinstance(value, list | tuple):
        found = [m for n, item in enumerate(value) for m in _mistakes(f"{place}[{n}]", item, items)]
        # Length limits of the list itself are seen only once its items are right.
        return found or _plain_mistakes(place, value, form, bare)
    return _plain_mistakes(place, value, form, bare)


def _optional_struct(form: Any) -> type[msgspec.Struct] | None:
    """Return the struct type of "a struct or None", else None."""
    if get_origin(form) not in (Union, types.UnionType):
        return None
    members = [member for member in get_args(form) if member is not types.NoneType]
    only = members[0] if len(members) == 1 else None
    return only if isinstance(only, type) and issubclass(only, msgspec.Struct) else None


def _struct_items(form: Any) -> Any:
    """Return the struct type of a list of structs, else None."""
    if get_origin(form) in (Union, types.UnionType):
        found = [_struct_items(member) for member in get_args(form)]
        return next((item for item in found if item is not None), None)
    if get_origin(form) not in (list, tuple):
        return None
    item = get_args(form)[0]
    return item if isinstance(item, type) and issubclass(item, msgspec.Struct) else None


def _struct_mistakes(place: str, value: object, form: type[msgspec.Struct]) -> list[str]:
    if not isinstance(value, Mapping):
        return [con.NOT_AN_OBJECT(place=place, value=shown(value))]
    fields = {field.encode_name: field for field in msgspec.structs.fields(form)}
    found = []
    for name, field in fields.items():
        if name in value:
            found += _mistakes(f"{place}.{name}", value[name], field.type)
        elif field.required:
            found.append(con.OPTION_MISSING(place=f"{place}.{name}"))
    for name in value:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            suggestion = con.DID_YOU_MEAN(names=near) if near else con.VALID(names=list(fields))
            found.append(con.OPTION_UNKNOWN(place=f"{place}.{foreign(name)}", suggestion=suggestion))
    # Rules between fields (__post_init__) make sense only when each field is right.
    return found or _plain_mistakes(place, value, form, form)


def _plain_mistakes(place: str, value: object, form: Any, bare: Any) -> list[str]:
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        if get_origin(bare) is Literal:
            choices = [repr(one) for one in get_args(bare)]
            return [con.OPTION_CHOICE(place=place, value=shown(value), choices=choices)]
        if isinstance(error.__cause__, ValueError):
            return [placed(place, problem) for problem in problems_of(error.__cause__)]
        reason = foreign(str(error).partition(" - at `$")[0])
        if isinstance(value, str | int | float):
            return [con.OPTION_VALUE(place=place, reason=reason, value=shown(value))]
        return [con.OPTION_INVALID(place=place, reason=reason)]
    return []
