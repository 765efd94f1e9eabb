# SPDX-License-Identifier: Apache-2.0
"""What plans are rendered as, from templates; the same values are not rendered twice.

Loading jinja2 takes longer than all else that an edited source file costs, and what it gives
depends on nothing but the template, the values and itself.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imagekit.files import replacing
from imagekit.paths import cache_directory
from imagekit.usage import used

_FOLDER = Path(__file__).parent / "templates"


def rendered(name: str, values: Mapping[str, Any], *filters: Callable[[str], str]) -> str:
    """The template `name` with `values`, which knows `filters` by their names.

    Values are such that their `repr` says all of them. With filters it is rendered each time, as
    their code decides the text, too.
    """
    if filters:
        return str(_template(name, *filters).render(values))
    state = [name, _jinja(), (_FOLDER / name).read_text("utf-8"), repr(sorted(values.items()))]
    key = hashlib.sha256("\0".join(state).encode("utf-8", "surrogateescape")).hexdigest()
    path = cache_directory() / "rendered" / key
    if used(path):
        return path.read_bytes().decode("utf-8", "surrogateescape")
    text = str(_template(name).render(values))
    with replacing(path) as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
    return text


def _jinja() -> str:
    """Which one is installed, without loading it."""
    found = importlib.util.find_spec("jinja2")
    if found is None or found.origin is None:
        return ""
    # Opened, so that the receipt of a build (imagekit.receipts) stands on it.
    with open(found.origin, "rb") as stream:
        status = os.fstat(stream.fileno())
    return f"{found.origin} {status.st_size} {status.st_ino} {status.st_ctime_ns}"


@functools.cache
def _template(name: str, *filters: Callable[[str], str]) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    environment = Environment(  # noqa: S701 - Dockerfiles, not HTML
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({each.__name__: each for each in filters})
    return environment.get_template(name)
