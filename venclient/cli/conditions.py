"""The options that choose resources, the same for every command that works on some of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

_Texts = list[str] | None
_Text = str | None


def _number(end: str, of: str) -> Any:
    unit = of.rsplit("_", 1)[1]
    return Annotated[
        _Text, typer.Option(metavar=unit.upper(), help=f"{of} at {'least' if end == 'min' else 'most'}.")
    ]


#: Key of `query_text.KEYS` -> its option. Values are text, to report all mistakes at once.
_OPTIONS: dict[str, Any] = {
    "type": Annotated[_Texts, typer.Option(help="DSR, BATTERY, PV or EV; several with commas.")],
    "sub_type": Annotated[_Texts, typer.Option(help="Kind of site, as it is stored; repeatable.")],
    "ven": Annotated[_Texts, typer.Option(help="VEN, as it is stored; repeatable.")],
    "enabled": Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Only what is switched on, or off.")
    ],
    "connection": Annotated[_Texts, typer.Option(help="MODBUSTCP, MQTT or FILEREADER.")],
    "near": Annotated[
        _Text, typer.Option(metavar="LAT,LON,DISTANCE", help="Not further away: 56.14,8.97,10km.")
    ],
    "bbox": Annotated[
        _Text,
        typer.Option(metavar="WEST,SOUTH,EAST,NORTH", help="In an area, in degrees: 8.9,56.1,9.1,56.2."),
    ],
    "text": Annotated[
        _Text, typer.Option(help="Words in name or address; case, accents and æøå are ignored.")
    ],
    "never_reported": Annotated[
        bool | None, typer.Option("--never-reported", help="Only resources never reported.")
    ],
    **{
        f"{end}_{capacity.rsplit('_', 1)[0].casefold()}": _number(end, capacity)
        for capacity in ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
        for end in ("min", "max")
    },
}
_ORDER: dict[str, Any] = {
    "sort": Annotated[
        _Text,
        typer.Option(help="name, id, type, ven, p_max, distance, created or updated; -name: descending."),
    ],
    "limit": Annotated[_Text, typer.Option(metavar="N", help="Maximum number of results.")],
    "offset": Annotated[_Text, typer.Option(metavar="N", help="Skip the first N results.")],
}


def with_query(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a query to a command, which receives the query as `query`.

    BadQuery lists every invalid option.
    """
    options = _OPTIONS | _ORDER

    def run(**told: Any) -> None:
        from venclient.registry.query import Query

        texts = {name: _as_text(told.pop(name)) for name in options}
        query = Query.parse({name: text for name, text in texts.items() if text is not None}, _spelt)
        command(query=query, **told)

    # The query is ours to give; its class is imported when a command runs, so it has no annotation here.
    command.__annotations__.pop("query", None)
    every = inspect.signature(command, eval_str=True).parameters.values()
    own = [one for one in every if one.name != "query"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in options.items()
    ]
    ordered = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
    # Typer reads both to make the command line.
    run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in ordered}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _as_text(value: Any) -> str | list[str] | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or None if isinstance(value, list) else value


def _spelt(key: str) -> str:
    """Return the option of a key, as the user typed it."""
    return "--enabled" if key == "enabled" else f"--{key.replace('_', '-')}"
