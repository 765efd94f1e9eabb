# SPDX-License-Identifier: Apache-2.0
"""Which Python distributions a base has for its interpreter, by the names of their folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from imagekit.spec.plain import normalised

_INSTALLED = re.compile(
    r"(?:.*/)?python3(?:\.(?P<minor>\d+))?/(?:site|dist)-packages/"
    r"(?P<name>[^/]+?)-(?P<version>[^/-]+)(?:-py3\.\d+)?\.(?:dist-info|egg-info)"
)


def distributions(paths: Iterable[str], python_version: str) -> Mapping[str, str]:
    """Versions by normalised name, sorted; `python_version` is `X.Y.Z`.

    Where one lies in several folders, the first by path counts.
    """
    found: dict[str, str] = {}
    for path in sorted(paths):
        match = _INSTALLED.fullmatch(path)
        if match and match["minor"] in (None, python_version.split(".")[1]):
            found.setdefault(normalised(match["name"]), match["version"])
    return dict(sorted(found.items()))
