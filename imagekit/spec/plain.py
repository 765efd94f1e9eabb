# SPDX-License-Identifier: Apache-2.0
"""Requirements that need no parser: most of those that people write.

Loading `packaging` costs more than all else that an unchanged spec needs.
"""

from __future__ import annotations

import re

RESERVED = {
    "django-imagekit": "it installs a package called imagekit, as our runtime does",
    "entrypoint": "it installs a package called entrypoint, as our runtime does",
    "imagekit-runtime": "the build adds the runtime itself",
}
"""Distributions that would overwrite what starts the task, and why."""

_SEPARATORS = re.compile(r"[-_.]+")
_PLAIN = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"(?:\s*(==|>=|<=|!=|<|>)\s*([0-9]+(?:\.[0-9]+)*))?\s*",
    re.ASCII,
)


def normalised(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def plain(text: str) -> str | None:
    """What `source.canonical` gives for NAME, or NAME and one bound; None for any other.

    Whatever this takes, an image can hold.
    """
    matched = _PLAIN.fullmatch(text)
    if matched is None or text.strip().endswith(".whl"):
        return None
    name = normalised(matched[1])
    return None if name in RESERVED else f"{name}{matched[2] or ''}{matched[3] or ''}"
