# SPDX-License-Identifier: Apache-2.0
"""Any other scheme, by fsspec and what it needs for the scheme, where the image has them.

Whether a file appears whole or in parts is up to the filesystem there.
"""

from __future__ import annotations

import os

from ..errors import UnsupportedError
from . import join, needed, scheme_of, scratch, without_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def fetch(uri: str) -> str:
    system, path = _opened(uri)
    if not system.exists(path):
        raise FileNotFoundError(f"nothing at {without_secrets(uri)}")
    target = scratch(uri)
    if system.isdir(path):
        system.get(path.rstrip("/") + "/", target + "/", recursive=True)
    else:
        system.get_file(path, target)
    return target


def store(source: str | bytes, uri: str) -> None:
    system, path = _opened(uri)
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    if isinstance(source, bytes):
        system.pipe_file(path, source)
    elif os.path.isdir(source):
        system.put(source.rstrip("/") + "/", path + "/", recursive=True)
    else:
        system.put_file(source, path)


def clear(directory: str, names: Iterable[str]) -> None:
    for name in names:
        system, path = _opened(join(directory, name))
        if system.exists(path):
            system.rm_file(path)


def _opened(uri: str) -> tuple[Any, str]:
    needed("fsspec", uri)
    try:
        system, path = __import__("fsspec.core", fromlist=["url_to_fs"]).url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise UnsupportedError(f"no storage for {scheme_of(uri)}://: {error}") from error
    return system, path
