# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/reference/spec.md, made from the table of fields.

`python -m imagekit.spec.reference` prints them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from imagekit.spec.fields import FIELDS, SpecField
from imagekit.spec.frozen import Kind

_KINDS: Mapping[Kind, str] = {
    "text": "text",
    "texts": "list of texts",
    "mapping": "mapping of texts",
    "flag": "true or false",
    "pairs": "list of pairs of texts",
    "flag_or_texts": "true, false or list of texts",
    "matrix": "mapping of lists",
}


def markdown() -> str:
    """One table of what works, one of what is known and refused."""
    working = [field for field in FIELDS.values() if field.works]
    later = [field for field in FIELDS.values() if not field.works]
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    lines += [_row(field) for field in working]
    lines += ["", "| known, and refused until it works | meanwhile |", "|---|---|"]
    lines += [f"| `{field.name}` | {field.doc} |" for field in later]
    return "\n".join(lines) + "\n"


def kind_of(field: SpecField) -> str:
    """What a value may be, for people."""
    kind = " or ".join(f"`{choice}`" for choice in field.choices) or _KINDS[field.kind]
    return f"{kind}, or several" if field.kind == "joined" else kind


def _row(field: SpecField) -> str:
    kind = kind_of(field)
    shown = "true" if field.default is True else field.default
    default = f"`{shown}`" if shown else ""
    return f"| `{field.name}` | {kind} | {default} | {field.doc} |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
