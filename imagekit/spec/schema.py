# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of a spec, for editors, made from the table of fields.

`python -m imagekit.spec.schema > imagekit/spec/schema.json` writes it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from imagekit.spec.fields import FIELDS, SpecField
from imagekit.spec.frozen import Kind

# Unquoted YAML such as 3.11 or 8080 is a number to a schema and text to us.
_SCALAR: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}
_TYPES: Mapping[Kind, Mapping[str, Any]] = {
    "text": {"type": ["string", "number", "boolean", "null"]},
    "texts": {"type": ["array", "null"], "items": _SCALAR},
    "mapping": {"type": ["object", "null"], "additionalProperties": _SCALAR},
    "flag": {"type": ["boolean", "null"]},
    "pairs": {
        "type": ["array", "null"],
        "items": {"type": "array", "items": _SCALAR, "minItems": 2, "maxItems": 2},
    },
    "flag_or_texts": {"type": ["boolean", "array", "null"], "items": _SCALAR},
    "matrix": {
        "type": ["object", "null"],
        "additionalProperties": {"type": "array", "minItems": 1},
    },
}


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12; fields that do not work yet are not in it, so editors mark them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "imagekit spec",
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: _property(field) for field in FIELDS.values() if field.works},
    }


def dumps() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def _property(field: SpecField) -> dict[str, Any]:
    if field.kind == "joined":
        one = {"enum": [*field.choices, None]}
        several = {"type": "array", "minItems": 1, "items": {"enum": [*field.choices]}}
        commas = {"type": "string", "pattern": ","}
        return {"anyOf": [one, several, commas], "description": field.doc}
    if field.choices:
        return {"enum": [*field.choices, None], "description": field.doc}
    return {**_TYPES[field.kind], "description": field.doc}


if __name__ == "__main__":
    sys.stdout.write(dumps())
