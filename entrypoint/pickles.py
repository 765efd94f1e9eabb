# SPDX-License-Identifier: Apache-2.0
"""Pickles made by cloudpickle: whoever writes one runs code here, so its digest can be demanded."""

from __future__ import annotations

from . import digests
from .contract import running
from .errors import BundleError, Interrupted, ResolverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def verified(content: bytes, what: str) -> None:
    """Check a pickle's bytes, before anything is made of them, against the digest that was given.

    A bundle that is a pickle itself needs no second digest.
    """
    options = running[0].options if running else {}
    expected = options.get("pickle-digest") or options.get("bundle-digest")
    if expected is not None:
        digests.check([content], expected, what)
    elif (options.get("require-digest") or "").lower() in ("1", "t", "true"):
        raise BundleError(f"{what} has no digest, and IMAGEKIT_REQUIRE_DIGEST demands one")


def unpickled(pickle: bytes, what: str) -> Any:
    """The object. It can only be had from a pickle by running what the pickle says."""
    loads = _cloudpickle_loads(what)
    try:
        return loads(pickle)
    except Interrupted:
        raise
    except BaseException as error:
        from .document import text_of

        hint = "; it may have been made by another version of Python"
        raise ResolverError(f"unpickling {what}: {text_of(error)}{hint}") from error


def _cloudpickle_loads(what: str) -> Callable[[bytes], Any]:
    try:
        found = __import__("cloudpickle")
    except ImportError:
        raise ResolverError(f"{what} needs cloudpickle, which this image does not have") from None
    loads: Callable[[bytes], Any] = found.loads
    return loads
