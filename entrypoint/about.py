# SPDX-License-Identifier: Apache-2.0
"""What the runtime says about itself: `version` and `--help`."""

from __future__ import annotations

import sys

from . import contract

DISTRIBUTIONS = ("imagekit-runtime", "imagekit")


def show(verb: str) -> int:
    sys.stdout.write(f"{version()}\n" if verb == "version" else usage())
    return 0


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    python = sys.version.split()[0]
    for name in DISTRIBUTIONS:
        try:
            return f"{name} {installed(name)} (Python {python})"
        except PackageNotFoundError:
            continue
    return f"imagekit, not installed as a distribution (Python {python})"


def usage() -> str:
    options = "".join(
        f"  {verb:8} {' '.join(f'[--{name} VALUE]' for name in names)}\n"
        for verb, names in contract.OPTIONS.items()
    )
    synopsis = (contract.__doc__ or "").split("\n\n")[1]
    return f"{synopsis}\n\noptions, each with a twin such as IMAGEKIT_OUTPUT_PREFIX:\n{options}"
