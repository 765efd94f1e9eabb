# SPDX-License-Identifier: Apache-2.0
"""One file at a URL. What nobody else may read comes from secrets: HTTP_AUTHORIZATION, HTTP_QUERY.

A URL's query is often a signature, and sources are in texts: pods, locks, logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from ..errors import FilesError
from ..files import QUERY, is_safe_path
from .remote import Remote


def listing(source: str, environment: Mapping[str, str], until: float) -> tuple[str, list[Remote]]:
    del until
    public, question, _ = source.partition("?")
    if question:
        raise FilesError(
            f"{public} has a query, which may be a signature",
            hint=f"leave it out, and give it as {QUERY}",
        )
    name = unquote(urlsplit(source).path.rpartition("/")[2])
    if not is_safe_path(name):
        raise FilesError(f"{source} names no file; a folder can't be listed")
    query = environment.get(QUERY, "").strip().lstrip("?")
    key = environment.get("HTTP_AUTHORIZATION", "").strip()
    return source, [
        Remote(
            path=name,
            url=f"{source}?{query}" if query else source,
            headers={"Authorization": key} if key else {},
        )
    ]
