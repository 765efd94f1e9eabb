# SPDX-License-Identifier: Apache-2.0
"""The templates of what plans are rendered as."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any


@functools.cache
def template(name: str, *filters: Callable[[str], str]) -> Any:
    """The template `name`, which knows `filters` by their names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow

    environment = Environment(  # noqa: S701 - Dockerfiles, not HTML
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({each.__name__: each for each in filters})
    return environment.get_template(name)
