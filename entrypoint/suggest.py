# SPDX-License-Identifier: Apache-2.0
"""'Did you mean': the nearest of the right names, as the end of an error's text."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(wrong: str, right: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = list(right)
    near = get_close_matches(wrong, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(sorted(names))}" if 0 < len(names) <= 12 else ""
