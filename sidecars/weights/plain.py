# SPDX-License-Identifier: Apache-2.0
"""One file at an URL. The user's name and password come from a secret: HTTP_AUTHORIZATION."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from ..errors import FilesError
from ..files import is_safe_path
from .remote import Remote


def listing(source: str, environment: Mapping[str, str], until: float) -> tuple[str, list[Remote]]:
    del until
    name = unquote(urlsplit(source).path.rpartition("/")[2])
    if not is_safe_path(name):
        raise FilesError(f"{source.partition('?')[0]} names no file; a folder can't be listed")
    key = environment.get("HTTP_AUTHORIZATION", "").strip()
    return source, [Remote(path=name, url=source, headers={"Authorization": key} if key else {})]
