# SPDX-License-Identifier: Apache-2.0
"""`cuda_digests.toml` as text."""

from __future__ import annotations

from collections.abc import Mapping

_HEADER = """\
# Written by `imagekit bases update --cuda`: digests of NVIDIA's images, as a registry said them.
# SPDX-License-Identifier: Apache-2.0

[digests]
"""


def render(digests: Mapping[str, str]) -> str:
    """The file for digests by tag; the same for the same digests."""
    return _HEADER + "".join(f'"{tag}" = "{digests[tag]}"\n' for tag in sorted(digests))
