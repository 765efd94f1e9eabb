# SPDX-License-Identifier: Apache-2.0
"""The entrypoint's commands, run as a program: it lies beside this package, which can't import it.

Both are in the same wheel, or in the same zip file.
"""

from __future__ import annotations

import os
import sys

_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    "from entrypoint.__main__ import start; sys.exit(start())"
)


def command(*words: str) -> list[str]:
    """`fetch` knows object stores where the image has obstore, `inputs` Flyte's encoding."""
    place = os.path.abspath(__file__)
    for _ in range(3):
        place = os.path.dirname(place)
    return [sys.executable, "-I", "-c", _START, place, *words]
