# SPDX-License-Identifier: Apache-2.0
"""Items of one field that can't both be true."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from imagekit.spec.finding import Finding
from imagekit.spec.model import ImageSpec
from imagekit.spec.plain import plain

_ZEROS = re.compile(r"(\.0)+$")


def contradictions(spec: ImageSpec) -> Iterator[Finding]:
    """Two versions of one package, two files for one place."""
    for field, key in _SAYINGS.items():
        first: dict[str, tuple[str, object]] = {}
        for item in getattr(spec, field):
            about, says = key(item)
            if says is None:
                continue
            said, other = first.setdefault(about, (says, item))
            if said != says:
                message = f"{field}: {_shown(item)} contradicts {_shown(other)}"
                where = item[1] if isinstance(item, tuple) else item
                yield Finding(field, message, "leave one of them out", item=where)


def _python_package(text: str) -> tuple[str, str | None]:
    # What has markers, extras or wildcards may well stand beside another version.
    name, pinned, version = (plain(text) or "").partition("==")
    return name, _ZEROS.sub("", version) if pinned else None


def _debian_package(text: str) -> tuple[str, str | None]:
    name, pinned, version = text.partition("=")
    return name, version if pinned else None


_SAYINGS: Mapping[str, Callable[[Any], tuple[str, str | None]]] = {
    "packages": _python_package,
    "apt_packages": _debian_package,
    "pip_secret_mounts": lambda pair: (pair[1], pair[0]),
}
"""By field: what an item is about, and what it says of that, if anything."""


def _shown(item: object) -> str:
    return f"[{', '.join(item)}]" if isinstance(item, tuple) else repr(item)
