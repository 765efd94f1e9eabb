# SPDX-License-Identifier: Apache-2.0
"""Where inputs come from and outputs go, by the URI's scheme.

A storage is anything with the three functions of `Storage`; the table names the module of each, so
that a task imports only the one that it uses.
"""

from __future__ import annotations

from ..errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class Storage(Protocol):
        def fetch(self, uri: str) -> str:
            """A local path that holds the file or directory; FileNotFoundError if there is none."""

        def store(self, source: str | bytes, uri: str) -> None:
            """Put bytes, or a local file or directory, at the URI: whole, or not at all."""

        def clear(self, directory: str, names: Iterable[str]) -> None:
            """Remove these files, and what a killed writer left half written beside them."""


SCHEMES = {"": "local", "file": "local"}


def storage_for(uri: str) -> Storage:
    scheme = scheme_of(uri)
    module = SCHEMES.get(scheme)
    if module is None:
        known = ", ".join(sorted(f"{name}://" for name in SCHEMES if name))
        raise UnsupportedError(f"no storage for {scheme}:// ({uri}); supported: {known}, paths")
    storage: Storage = __import__(f"{__name__}.{module}", fromlist=["store"])
    return storage


def scheme_of(uri: str) -> str:
    head, separator, _ = uri.partition("://")
    return head.lower() if separator else ""


def join(prefix: str, name: str) -> str:
    return f"{prefix.rstrip('/')}/{name}"
