# SPDX-License-Identifier: Apache-2.0
"""`$(VAR)` in values, commands and arguments, as the kubelet reads it.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$$` is a dollar sign; a reference to what is not in `variables` stays as it is."""

    def replaced(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return variables.get(found[1], found[0])

    return _REFERENCE.sub(replaced, text)


def unresolved(text: str, variables: Mapping[str, str]) -> list[str]:
    """The names that `expand` would leave."""
    names = [found[1] for found in _REFERENCE.finditer(text) if found[0] != "$$"]
    return [name for name in names if name not in variables]
