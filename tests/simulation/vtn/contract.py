"""The official YAML as a judge of requests and answers, read from beside the checkout at run time."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

# answers that HTTP or the task's own rules add to what the YAML lists for an operation
BEYOND_YAML = {
    ("post", "/vens", 409),  # venName is unique within a VTN, yet only PUT lists the conflict
    ("put", "/programs/{programID}", 401),
}


class Contract:
    """The schemas and operations of one OpenAPI 3.0 document."""

    def __init__(self, path: Path) -> None:
        self._document: dict[str, Any] = yaml.load(
            path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        _drop_discriminators(self._document)
        answers = copy.deepcopy(self._document["components"])
        for name in {"BlVenRequest", "BlResourceRequest"} & answers["schemas"].keys():
            # a ven is objectType VEN by its metadata and BL_VEN_REQUEST by its body: no value is both
            answers["schemas"][name]["properties"].pop("objectType")
            answers["schemas"][name]["required"].remove("objectType")
        self._components = {"request": self._document["components"], "answer": answers}
        self._validators: dict[tuple[str, str], OAS30Validator] = {}

    def operations(self) -> list[tuple[str, str]]:
        """Return every (method, path template)."""
        verbs = ("get", "post", "put", "delete")
        return [
            (verb, path) for path, item in self._document["paths"].items() for verb in verbs if verb in item
        ]

    def schema_errors(self, name: str, value: object, side: str = "request") -> list[str]:
        """Return what the named schema has against a value."""
        return self._errors({"$ref": f"#/components/schemas/{name}"}, name, value, side)

    def check_answer(self, method: str, path: str, status: int, body: object) -> None:
        """Fail when an answer is not what the YAML lists for the operation that the path belongs to."""
        template = self._template(path)
        if template is None:
            assert status == 404
            return
        operation = self._document["paths"][template].get(method)
        if operation is None:
            assert status == 405
            return
        declared = operation["responses"].get(str(status))
        if declared is None:
            where = (method, template, status)
            assert status in (401, 403, 415) or where in BEYOND_YAML, f"{where} is not in the YAML: {body}"
            assert not self.schema_errors("problem", body, "answer")
            return
        if "$ref" in declared:
            declared = self._document["components"]["responses"][declared["$ref"].rsplit("/", 1)[1]]
        schema = declared["content"]["application/json"]["schema"]
        errors = self._errors(schema, f"{method} {template} {status}", body, "answer")
        assert not errors, f"{method} {path} {status}: {errors}"

    def _errors(self, schema: dict[str, Any], name: str, value: object, side: str) -> list[str]:
        validator = self._validators.get((name, side))
        if validator is None:
            whole = (
                {**schema, "components": self._components[side]}
                if "$ref" not in schema
                else {"allOf": [schema], "components": self._components[side]}
            )
            validator = OAS30Validator(whole, format_checker=oas30_format_checker)
            self._validators[name, side] = validator
        messages = [error.message for error in validator.iter_errors(value)]
        # the description of intervalPeriod names these spellings of "now", which the format forbids
        now = ("'0001-01-01' is not a", "'0001-01-01T00:00:00' is not a")
        return [message for message in messages if not message.startswith(now)]

    def _template(self, path: str) -> str | None:
        for template in self._document["paths"]:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return str(template)
        return None


def _drop_discriminators(node: object) -> None:
    # the YAML gives no mapping, and its objectType values are not schema names: anyOf says the same alone
    if isinstance(node, dict):
        node.pop("discriminator", None)
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _drop_discriminators(inner)


def answers_document(path: Path) -> dict[str, Any]:
    """Load the document without what it says against itself of answers, for a tool that reads it whole."""
    document: dict[str, Any] = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    _drop_discriminators(document)
    for name in ("ven", "resource"):
        # By its metadata its objectType is one thing, and by its request's form another.
        document["components"]["schemas"][name] = {"type": "object", "required": ["id", f"{name}Name"]}
    # YAML reads the examples' times as such; a JSON document has texts.
    plain: dict[str, Any] = json.loads(json.dumps(document, default=lambda one: one.isoformat()))
    return plain


@cache
def load_contract(path: Path) -> Contract:
    """Load the contract of a YAML file, read once."""
    return Contract(path)
