"""Device templates: the registers of known devices; a connection only has to name its template.

{"template": "huawei-sun2000", "parameters": {"usage": "battery", "unit": 3}, "interval_s": 5}

Each is a YAML file in `templates/`, with facts from the manufacturer's documents: what is where, how it is
written, and which way it counts. Expanding one gives plain options of a MODBUSTCP connection.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.mistakes import placed, shown
from venclient.connectors.registers import Register
from venclient.errors import ConfigError
from venclient.messages import connectors as con
from venclient.messages import modbus as mod
from venclient.messages.printable import foreign

ParameterValue = bool | int | str
Name = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]

#: Powers and energies that change sides when a meter is mounted the other way round.
_SIGNED_UNITS = frozenset({"kw", "w", "kvar", "var"})
#: Options that a device needs whether it is read or commanded.
LINK_OPTIONS = frozenset(
    ("timeout_s", "retries", "framer", "transaction_ids", "pipelining", "connect_delay_s", "pause_s")
)
_OPPOSITE = {"energy_kwh": "energy_export_kwh", "energy_export_kwh": "energy_kwh"}


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may say about the device: one of `choices`, a number in a range, or yes and no."""

    meaning: str
    default: ParameterValue
    choices: list[int | str] = []
    min: int | None = None
    max: int | None = None

    @property
    def allowed(self) -> str:
        """What may be said, in words."""
        if self.choices:
            return mod.ALLOWED_CHOICES(choices=self.choices)
        if isinstance(self.default, bool):
            return mod.ALLOWED_FLAG()
        if isinstance(self.default, int):
            return mod.ALLOWED_RANGE(low=self.min, high=self.max)
        return mod.ALLOWED_TEXT()

    def mistake(self, value: object) -> str:
        """Say what is wrong with a value; empty when nothing is."""
        # Python takes False for 0; in a connection's options they differ.
        right = type(value) is type(self.default) or (bool(self.choices) and not isinstance(value, bool))
        if right and self.choices:
            right = value in self.choices
        elif right and isinstance(value, int) and not isinstance(value, bool):
            low, high = self.min, self.max
            right = (low is None or value >= low) and (high is None or value <= high)
        return "" if right else mod.PARAMETER_VALUE(allowed=self.allowed, value=shown(value))


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What identifies this device: a number or text in a register, or in its identification.

    With `address`: the number is one of `values`, or within `low` and `high`, or the text has `contains`.
    Without: one of the objects of Modbus function 43 has `contains`.
    """

    address: int | None = None
    kind: Literal["holding", "input"] = "holding"
    type: Literal["uint16", "uint32", "string"] = "uint16"
    length: int | None = None
    mask: int | None = None
    values: list[int] = []
    low: int | None = None
    high: int | None = None
    contains: str = ""


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device as its file describes it; see `docs/connectors/templates.md`.

    `registers` and `computed` are options of a MODBUSTCP connection and may have two things more: `when`
    (parameter and value) and an address of {base, step, per}: base + step x the parameter `per`.
    `discovered` is for devices whose registers are found by asking them. `write` has the registers of a
    connection that commands the device, complete in themselves; `write_source` the document that has them.
    """

    name: Name
    title: str
    manufacturer: str
    device: Literal["meter", "inverter", "battery", "charger", "heat pump"]
    kinds: Annotated[list[Literal["grid", "pv", "battery", "charger", "load"]], Meta(min_length=1)]
    source: str
    note: str = ""
    port: int = 502
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    parameters: dict[str, Parameter] = {}
    reversible: bool = False
    discovered: bool = False
    options: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    registers: list[dict[str, Any]] = []
    computed: list[dict[str, Any]] = []
    write: list[dict[str, Any]] = []
    write_source: str = ""
    identify: list[Mark] = []

    @property
    def all_parameters(self) -> dict[str, Parameter]:
        """Its parameters, with the unit id that every device has."""
        own = {
            "unit": Parameter(meaning="unit id", default=self.unit, min=0, max=255),
            **self.parameters,
        }
        if self.reversible:
            own["reversed"] = Parameter(meaning=str(mod.REVERSED()), default=False)
        return own


@dataclass(frozen=True)
class Expansion:
    """A template applied: the options that it stands for, and the parameters as they hold."""

    template: Template
    options: dict[str, Any]
    parameters: dict[str, ParameterValue]


_Apply = Callable[[Template, Mapping[str, ParameterValue], Mapping[str, Any]], dict[str, Any]]


def _folder() -> Traversable:
    return files("venclient.connectors") / "templates"


def template_names() -> tuple[str, ...]:
    """Return the names of all templates, in order."""
    names = (file.name for file in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def all_templates() -> Iterator[Template]:
    """Load every template, by name."""
    return map(load_template, template_names())


@cache
def load_template(name: str) -> Template:
    """Return a template; raise ConfigError with near names when the name is unknown."""
    if name not in template_names():
        raise ConfigError(
            mod.NO_TEMPLATE(name=shown(name), suggestion=_near(name, template_names())), subject="template"
        )
    # Imported only where a template is used: all other programs start without a YAML library.
    import yaml

    text = (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    # The loader in C is as safe as the other, and ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    template = msgspec.convert(yaml.load(text, Loader=loader), Template)  # noqa: S506
    if template.name != name:
        raise ConfigError(mod.TEMPLATE_FILE(name=name, found=template.name), subject="template")
    return template


def _near(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    parts = name.lower().replace("_", "-").split("-")
    near += [one for one in known if any(part in one.split("-") for part in parts) and one not in near]
    if near:
        return con.DID_YOU_MEAN(names=" or ".join(near[:4]))
    return mod.LIST_TEMPLATES() if len(known) > 12 else con.VALID(names=known)


def expand_template(options: Mapping[str, Any]) -> tuple[Expansion | None, list[str]]:
    """Expand options that name a `template`; return None with one sentence per mistake if they are wrong.

    What the connection says itself comes before what the template says; its own registers and computed
    quantities are added, or replace those of the same quantity.
    """
    return _expanded(options, _applied)


def expand_writing(options: Mapping[str, Any]) -> tuple[Expansion | None, list[str]]:
    """Expand options of a connection that commands; return None with one sentence per mistake if wrong."""
    return _expanded(options, _applied_to_writing)


def _expanded(options: Mapping[str, Any], apply: _Apply) -> tuple[Expansion | None, list[str]]:
    name, given = options.get("template"), options.get("parameters", {})
    if not isinstance(name, str):
        return None, [mod.TEMPLATE_NAME(value=shown(name))]
    try:
        template = load_template(name)
    except ConfigError as error:
        return None, [placed("options.template", error.what)]
    if not isinstance(given, Mapping):
        return None, [mod.PARAMETERS_FORM(value=shown(given))]
    problems = _parameter_mistakes(template, given)
    for key in ("registers", "computed"):
        own = options.get(key, [])
        if not isinstance(own, list) or not all(isinstance(one, Mapping) for one in own):
            problems.append(mod.LIST_FORM(key=key, value=shown(own)))
    if problems:
        return None, problems
    parameters = {key: given.get(key, one.default) for key, one in template.all_parameters.items()}
    return Expansion(template, apply(template, parameters, options), parameters), []


def _parameter_mistakes(template: Template, given: Mapping[str, Any]) -> list[str]:
    known = template.all_parameters
    found: list[str] = []
    for key, value in given.items():
        place = f"options.parameters.{foreign(key)}"
        if key not in known:
            suggestion = _near(str(key), tuple(known))
            found.append(mod.PARAMETER_UNKNOWN(place=place, template=template.name, suggestion=suggestion))
        elif mistake := known[key].mistake(value):
            found.append(placed(place, mistake))
    return found


def _applied(
    template: Template, parameters: Mapping[str, ParameterValue], options: Mapping[str, Any]
) -> dict[str, Any]:
    turned = bool(parameters.get("reversed", False)) and template.reversible
    registers = [
        _register({**template.defaults, **one}, parameters, turned=turned)
        for one in template.registers
        if _holds(one, parameters)
    ]
    computed = [_computed(one, turned=turned) for one in template.computed if _holds(one, parameters)]
    own = {k: v for k, v in options.items() if k not in ("template", "parameters", "registers", "computed")}
    found: dict[str, Any] = {"unit": parameters["unit"], **template.options, **own}
    found["registers"] = _merged(registers, options.get("registers", []))
    if all_computed := _merged(computed, options.get("computed", [])):
        found["computed"] = all_computed
    return found


def _applied_to_writing(
    template: Template, parameters: Mapping[str, ParameterValue], options: Mapping[str, Any]
) -> dict[str, Any]:
    registers = [
        _register(one, parameters, turned=False) for one in template.write if _holds(one, parameters)
    ]
    own = {k: v for k, v in options.items() if k not in ("template", "parameters", "registers")}
    link = {k: v for k, v in template.options.items() if k in LINK_OPTIONS}
    return {
        "unit": parameters["unit"],
        **link,
        **own,
        "registers": _merged(registers, options.get("registers", [])),
    }


def _holds(one: Mapping[str, Any], parameters: Mapping[str, ParameterValue]) -> bool:
    for key, wanted in one.get("when", {}).items():
        if parameters[key] not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _without_when(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "when"}


def _register(
    one: Mapping[str, Any], parameters: Mapping[str, ParameterValue], *, turned: bool
) -> dict[str, Any]:
    found = _without_when(one)
    for key in ("address", "scale_register"):
        if isinstance(place := found.get(key), Mapping):
            found[key] = place["base"] + place["step"] * int(parameters[place["per"]])
    if turned:
        quantity = found["quantity"]
        found["quantity"] = _OPPOSITE.get(quantity, quantity)
        if quantity.rpartition("_")[2] in _SIGNED_UNITS:
            found["scale"] = -found.get("scale", 1.0)
            if "offset" in found:
                found["offset"] = -found["offset"]
    return found


def _computed(one: Mapping[str, Any], *, turned: bool) -> dict[str, Any]:
    """Return a computed quantity; its parts have their new signs already, only energies change sides."""
    found = _without_when(one)
    if turned:
        found["quantity"] = _OPPOSITE.get(found["quantity"], found["quantity"])
    return found


def _merged(known: list[dict[str, Any]], own: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    replaced = {one.get("quantity") for one in own}
    return [*(one for one in known if one["quantity"] not in replaced), *map(dict, own)]


def turned_round(registers: list[Register]) -> list[Register]:
    """Return registers as a device has them that counts the other way round."""
    return [
        msgspec.convert(_register(msgspec.to_builtins(one), {}, turned=True), Register) for one in registers
    ]
