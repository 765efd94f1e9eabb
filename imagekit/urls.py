# SPDX-License-Identifier: Apache-2.0
"""URLs as they may be written down: without what could be a credential."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

_USERINFO = re.compile(r"(?<=://)[^/\s]+@")
_FILES = (".whl", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_QUERY = re.compile(r"""(://[^?\s]*)\?[^\s)`'"]*""")


def without_credentials(url: str) -> str:
    """`url` without user, password, query and fragment: any of them may be a secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def masked(text: str) -> str:
    """`text` for people: what could be a credential in its URLs is replaced."""
    return _QUERY.sub(r"\1?***", _USERINFO.sub("***@", text))


def with_credentials(url: str, known: Iterable[str]) -> str:
    """`url` as the user wrote it, for use only.

    `known` are URLs with credentials: of a wheel, archive or repository (`git+`), whose are for it
    alone, or of an index, whose user and password are for everything on its server; those of
    `netrc:` are for a host, whatever the port.
    """
    parts = urlsplit(url)
    servers = []
    for text in known:
        other = urlsplit(text)
        userinfo, _, host = other.netloc.rpartition("@")
        if other.scheme == "netrc" and other.hostname == parts.hostname:
            servers.append(userinfo)
        if (other.scheme, host) != (parts.scheme, parts.netloc):
            continue
        if other.path == parts.path:
            return urlunsplit(other._replace(fragment=""))
        if userinfo and not other.scheme.startswith("git+") and not other.path.endswith(_FILES):
            servers.append(userinfo)
    if servers:
        return urlunsplit(parts._replace(netloc=f"{servers[0]}@{parts.netloc}"))
    return url
