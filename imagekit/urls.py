# SPDX-License-Identifier: Apache-2.0
"""URLs as they may be written down: without what could be a credential."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

_USERINFO = re.compile(r"(?<=://)[^/\s]+@")
_QUERY = re.compile(r"""(://[^?\s]*)\?[^\s)`'"]*""")


def without_credentials(url: str) -> str:
    """`url` without user, password, query and fragment: any of them may be a secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def masked(text: str) -> str:
    """`text` for people: what could be a credential in its URLs is replaced."""
    return _QUERY.sub(r"\1?***", _USERINFO.sub("***@", text))


def with_credentials(url: str, indexes: Iterable[str]) -> str:
    """`url` with the user and password of the first of `indexes` on its server, for use only."""
    parts = urlsplit(url)
    for index in indexes:
        other = urlsplit(index)
        userinfo, _, host = other.netloc.rpartition("@")
        if userinfo and (other.scheme, host) == (parts.scheme, parts.netloc):
            return urlunsplit(parts._replace(netloc=f"{userinfo}@{host}"))
    return url
