# SPDX-License-Identifier: Apache-2.0
"""A lock's text as values. Reading TOML takes longer than all else that a plan does."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sys
from typing import Any

from imagekit.errors import LockError
from imagekit.files import replacing
from imagekit.paths import cache_directory
from imagekit.usage import used


@functools.lru_cache(maxsize=512)
def parse(text: str, source: str) -> Any:
    """What `text` says; `source` names it in errors. Not to be changed: others have it too.

    It is kept in the cache by its digest, in the faster notation of JSON.

    Raises:
        LockError: it is not TOML.
    """
    kept = cache_directory() / "locks" / hashlib.sha256(text.encode()).hexdigest()
    if used(kept):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(kept.read_bytes())
    document = _parsed(text, source)
    with contextlib.suppress(OSError, TypeError):  # dates have no place in JSON, and none in ours
        encoded = json.dumps(document).encode()
        with replacing(kept) as stream:
            stream.write(encoded)
    return document


def _parsed(text: str, source: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - mostly the lock was read before
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LockError(
            f"{source} is not TOML: {error}", hint="remove it to make it anew"
        ) from error
