# SPDX-License-Identifier: Apache-2.0
"""What a rule says of a spec."""

from __future__ import annotations

from imagekit.values import frozen


@frozen
class Finding:
    """Something wrong in `field`; `item` is the list item or mapping key that is meant."""

    field: str
    message: str
    hint: str | None = None
    item: str | None = None
