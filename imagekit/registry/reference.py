# SPDX-License-Identifier: Apache-2.0
"""Names of images in registries: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.

A name without a host is Docker Hub's, as everywhere.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re

from imagekit.errors import BuildError
from imagekit.oci.reference import Reference
from imagekit.values import frozen

_HUB = "docker.io"
_HUB_ALIASES = (f"index.{_HUB}", f"registry-1.{_HUB}")
_HUB_SERVER = f"registry-1.{_HUB}"
_HUB_KEY = f"https://index.{_HUB}/v1/"
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_REPOSITORY_LIMIT = 255


@frozen
class RegistryReference:
    """Make one with `parse`, which checks every part: all of them become parts of URLs."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> RegistryReference:
        """Raises BuildError for what is no reference. Without tag and digest: `latest`."""
        first, slash, rest = text.partition("/")
        if not slash or not (first == "localhost" or "." in first or ":" in first):
            first, rest = _HUB, text
        named = Reference.parse(rest)
        host = _HUB if first in _HUB_ALIASES else first
        repository = named.name
        if host == _HUB and "/" not in repository:
            repository = f"library/{repository}"
        if not _HOST.fullmatch(host):
            raise BuildError(f"not the name of a registry: {host[:200]!r}")
        return cls(host, check_repository(repository), named.tag, named.digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def wanted(self) -> str:
        """What a manifest is asked for by: the digest says more than the tag."""
        return self.digest or self.tag

    def at(self, digest: str) -> RegistryReference:
        """The same repository's manifest with that digest."""
        return dataclasses.replace(self, tag="", digest=digest)

    @property
    def server(self) -> str:
        """Host and port that answer for `host`."""
        return server_of(self.host)


def server_of(host: str) -> str:
    return _HUB_SERVER if host == _HUB else host


def credentials_key(host: str) -> str:
    """How Docker's configuration and its credential helpers call the registry."""
    return _HUB_KEY if host == _HUB else host


def check_repository(name: str) -> str:
    """Return `name` if it is one of a repository; anything else never becomes a part of a URL."""
    if not _REPOSITORY.fullmatch(name) or len(name) > _REPOSITORY_LIMIT:
        raise BuildError(
            f"not the name of a repository: {name[:200]!r}", hint="lower case, no blanks"
        )
    return name


def is_loopback(server: str) -> bool:
    """Whether `server`, with or without a port, is this machine itself."""
    name = server.rpartition(":")[0] if re.search(r":\d+$", server) else server
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
