# SPDX-License-Identifier: Apache-2.0
"""The fields of a spec as data, read off the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from imagekit.spec.frozen import Kind
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen


@frozen
class SpecField:
    """One field; `doc` of a field that does not work yet says what to use instead."""

    name: str
    kind: Kind
    doc: str
    default: Any
    choices: tuple[str, ...]
    works: bool


def _of_model() -> Mapping[str, SpecField]:
    table = {}
    for each in dataclasses.fields(ImageSpec):
        about = each.metadata
        table[each.name] = SpecField(
            name=each.name,
            kind=about["kind"],
            doc=about["doc"],
            default=each.default,
            choices=tuple(about["choices"]),
            works=about["works"],
        )
    return table


FIELDS = _of_model()
