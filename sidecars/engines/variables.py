# SPDX-License-Identifier: Apache-2.0
"""Literal environment variables and arguments, safe from Kubernetes' own `$(VAR)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def literal(text: str) -> str:
    """As Kubernetes has to spell it so that the container sees `text`."""
    return text.replace("$", "$$")


def variables(values: Mapping[str, object]) -> tuple[dict[str, Any], ...]:
    return tuple({"name": name, "value": literal(str(value))} for name, value in values.items())
