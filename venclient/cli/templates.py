"""`ven templates list` and `show`: the devices that a connection only has to name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.messages import cli_meters as clm
from venclient.messages import with_code
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from venclient.connectors.device_templates import Expansion, Template

app = typer.Typer(no_args_is_help=True, help="Browse the supported devices.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_templates(
    words: Annotated[
        list[str] | None, typer.Argument(help="Only those with all of these words.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the supported devices: name, kind, and what each one measures.

    Exit status 1 when none has the words.
    """
    from venclient.connectors.device_templates import all_templates

    wanted = [word.casefold() for word in words or ()]
    found = [one for one in all_templates() if all(word in _text(one) for word in wanted)]
    if as_json:
        say_json(json.dumps([_summary(one) for one in found], ensure_ascii=False))
    else:
        width = max((len(one.name) for one in found), default=0)
        for one in found:
            kinds = ", ".join(one.kinds)
            say(f"{one.name:<{width}}  {one.device:<9}  {one.manufacturer} {one.title} ({kinds})")
        if not found:
            say(with_code(clm.NO_MATCH(words=list(words or ()))), err=True)
    if not found:
        raise typer.Exit(1)


@app.command("show")
def show_template(
    name: Annotated[str, typer.Argument(help="Name of the template.", show_default=False)],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, as usage=battery; may be repeated.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one device and its registers.

    Prints its parameters, what is read and from where, and how to name it in a connection.

    With --json, the options of a connection that it stands for come along.
    """
    from venclient.connectors.device_templates import expand_template, expand_writing, load_template
    from venclient.errors import ConfigError

    template = load_template(name)
    parameters = {key: _parameter(template, key, text) for key, text in map(_halves, settings or ())}
    expansion, problems = expand_template({"template": name, "parameters": parameters})
    if expansion is None:
        raise ConfigError(
            problems[0] if len(problems) == 1 else "; ".join(problems), problems=tuple(problems)
        )
    commands, _ = expand_writing({"template": name, "parameters": parameters})
    written = [] if commands is None else commands.options["registers"]
    if as_json:
        summary = {**_summary(template), "options": expansion.options, "write": written}
        say_json(json.dumps(summary, ensure_ascii=False))
        return
    _show(template, expansion)
    _show_written(template, written)
    say(clm.OPTIONS())
    say(f"  {json.dumps({'template': name, 'parameters': parameters or {'unit': template.unit}})}")


def _show(template: Template, expansion: Expansion) -> None:
    say(f"{template.name}: {template.manufacturer} {template.title}")
    say(clm.MEASURES(kinds=template.kinds))
    say(clm.PORT(port=template.port))
    say(clm.SOURCE(source=template.source.strip()))
    if template.note:
        say(clm.NOTE(note=template.note.strip()))
    say(clm.PARAMETERS())
    for key, one in template.all_parameters.items():
        default = json.dumps(one.default) if isinstance(one.default, bool) else one.default
        text = clm.PARAMETER(name=key, meaning=one.meaning, allowed=one.allowed, default=default)
        say(f"  {text}")
    if template.discovered:
        say(clm.DISCOVERED())
        return
    chosen = {key: value for key, value in expansion.parameters.items() if key != "unit"}
    say(clm.REGISTERS_WITH(parameters=_pairs(chosen)) if chosen else clm.REGISTERS())
    for one in expansion.options["registers"]:
        rest = {k: v for k, v in one.items() if k not in ("quantity", "address", "type", "kind", "hidden")}
        hidden = clm.HIDDEN() if one.get("hidden") else ""
        place = f"{one.get('kind', 'holding')} {one['address']} {one['type']}"
        say(f"  {one['quantity']}{hidden}: {place} {_pairs(rest)}".rstrip())
    for one in expansion.options.get("computed", ()):
        scale = f" x {one['scale']}" if "scale" in one else ""
        text = clm.COMPUTED(quantity=one["quantity"], operation=one["op"], quantities=one["of"])
        say(f"  {text}{scale}")


def _show_written(template: Template, written: list[dict[str, Any]]) -> None:
    if not written:
        return
    say(clm.WRITABLE())
    for one in written:
        rest = {
            k: v for k, v in one.items() if k not in ("quantity", "address", "type", "kind", "min", "max")
        }
        span = f"{one['min']} to {one['max']}"
        place = f"{one.get('kind', 'holding')} {one['address']} {one['type']}"
        say(f"  {one['quantity']}: {span}; {place} {_pairs(rest)}".rstrip())
    say(clm.SOURCE(source=template.write_source.strip()))


def _pairs(values: dict[str, Any]) -> str:
    shown = {key: json.dumps(value) if isinstance(value, bool) else value for key, value in values.items()}
    return " ".join(f"{key}={value}" for key, value in shown.items())


def _text(template: Template) -> str:
    return " ".join(
        (template.name, template.title, template.manufacturer, template.device, *template.kinds)
    ).casefold()


def _summary(template: Template) -> dict[str, Any]:
    import msgspec

    return {
        "name": template.name,
        "title": template.title,
        "manufacturer": template.manufacturer,
        "device": template.device,
        "kinds": template.kinds,
        "port": template.port,
        "source": template.source.strip(),
        "note": template.note.strip(),
        "parameters": msgspec.to_builtins(template.all_parameters),
    }


def _halves(text: str) -> tuple[str, str]:
    from venclient.errors import ConfigError

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(clm.SET_FORM(text=repr(text)), subject="--set")
    return key.strip(), value.strip()


def _parameter(template: Template, key: str, text: str) -> Any:
    """Return a typed value converted to the parameter's type, where possible."""
    if text in ("true", "false"):
        return text == "true"
    known = template.all_parameters.get(key)
    numbers = known is not None and (
        type(known.default) is int or any(isinstance(one, int) for one in known.choices)
    )
    return int(text) if numbers and text.isdecimal() else text
