# SPDX-License-Identifier: Apache-2.0
"""How one registry is convinced: by a token that its token server gives, or by user and password.

Nothing is sent before a registry asks for it. Secrets go to the registry itself and to its token
server, and there over TLS or to this machine only.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from imagekit.errors import RegistryError
from imagekit.oci.document import Document
from imagekit.registry.access import Access
from imagekit.registry.challenge import (
    Challenge,
    asked_scopes,
    parse_challenges,
    repository_scope,
)
from imagekit.registry.errors import Subject, plain
from imagekit.registry.exchange import Answer, Bytes, Request
from imagekit.registry.reference import is_loopback
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.registry.credentials import Credentials

_CLIENT = "imagekit"
_TOKEN = re.compile(r"[\x21-\x7e]{1,60000}")
_DEFAULT_SECONDS = 60
_LONGEST_SECONDS = 86400
_READ = frozenset({"pull"})
_WRITE = frozenset({"pull", "push"})


@frozen
class Rights:
    """What a request needs: to read, or to write, one repository, and perhaps to read another."""

    repository: str
    writes: bool = False
    reads_too: str = ""

    @property
    def actions(self) -> frozenset[str]:
        return _WRITE if self.writes else _READ

    @property
    def scopes(self) -> frozenset[str]:
        found = {repository_scope(self.repository, self.actions)}
        if self.reads_too:
            found.add(repository_scope(self.reads_too, _READ))
        return frozenset(found)


@frozen
class _Grant:
    header: str = field(repr=False)
    until: float


class Authorizer:
    """Keeps what was granted, for as long as it lasts. Any thread may call it."""

    def __init__(
        self,
        host: str,
        access: Access,
        exchange: Callable[[Request], Answer],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._access = access
        self._exchange = exchange
        self._clock = clock
        self._lock = threading.RLock()
        self._challenge: Challenge | None = None
        self._grants: dict[Rights, _Grant] = {}
        self._asked: dict[Rights, frozenset[str]] = {}
        self._credentials: dict[str, Credentials | None] = {}
        self._secrets: set[str] = set()

    def header(self, rights: Rights) -> str | None:
        """The value for Authorization; None as long as nothing was asked for.

        Raises:
            RegistryError: the token server refuses, or is not to be trusted.
            TransientError: it can't answer now.
        """
        with self._lock:
            if self._challenge is None:
                return None
            grant = self._grants.get(rights)
            if grant is None or grant.until <= self._clock():
                grant = self._grant(self._challenge, rights)
            return None if grant is None else grant.header

    def challenged(self, header: str, rights: Rights, used: str | None) -> bool:
        """Take in a 401; whether there is something else to try than what was `used`."""
        with self._lock:
            grant = self._grants.get(rights)
            if grant is not None and grant.header != used:
                return True  # another thread was here in the meantime
            self._grants.pop(rights, None)
            self._challenge = _choose(parse_challenges(header), self._host)
            known = frozenset({rights.repository, rights.reads_too})
            # A registry may know a repository under another name than we do.
            self._asked[rights] = asked_scopes(self._challenge, rights.actions, known)
            grant = self._grant(self._challenge, rights)
            return grant is not None and grant.header != used

    def clean(self, text: str) -> str:
        """`text` without any secret that was sent: a registry may repeat what it was told."""
        with self._lock:
            for secret in sorted(self._secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
        return text

    def _grant(self, challenge: Challenge, rights: Rights) -> _Grant | None:
        credentials = self._find_credentials(rights.repository)
        if challenge.scheme == "basic":
            if credentials is None or not credentials.password:
                return None
            grant = _Grant(credentials.basic, float("inf"))
        elif credentials is not None and credentials.registry_token:
            grant = _Grant(f"Bearer {credentials.registry_token}", float("inf"))
        else:
            grant = self._token(challenge, rights, credentials)
        self._grants[rights] = grant
        return grant

    def _find_credentials(self, repository: str) -> Credentials | None:
        if repository not in self._credentials:
            from imagekit.registry.credentials import (  # noqa: PLC0415 - many ask for none
                find_credentials,
            )

            found = find_credentials(self._host, repository, self._access.environ)
            self._credentials[repository] = found
            if found is not None:
                self._secrets.update(found.secrets)
        return self._credentials[repository]

    def _token(
        self, challenge: Challenge, rights: Rights, credentials: Credentials | None
    ) -> _Grant:
        realm = _checked_realm(challenge.parameters.get("realm", ""), self._access, self._host)
        scopes = sorted(rights.scopes | self._asked.get(rights, frozenset()))
        request = _token_request(
            realm, challenge.parameters.get("service", ""), scopes, credentials
        )
        started = self._clock()
        answer = self._exchange(request)
        subject = Subject(f"logging in to {self._host}", self._host, may="log in")
        if answer.status != 200:
            raise subject.refused(answer.status, answer.body, self.clean)
        document = Document.parse(answer.body, f"token of {self._host}")
        token = document.text("token", "") or document.text("access_token", "")
        if not _TOKEN.fullmatch(token):
            raise RegistryError(f"{subject.doing}: the token server gave no usable token")
        self._secrets.add(token)
        return _Grant(f"Bearer {token}", started + _lifetime(document.members))


def _choose(challenges: tuple[Challenge, ...], host: str) -> Challenge:
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    offered = plain(", ".join(challenge.scheme for challenge in challenges)) or "nothing"
    raise RegistryError(
        f"logging in to {host}: the registry offers {offered}; tokens and passwords are understood"
    )


def _checked_realm(realm: str, access: Access, host: str) -> str:
    """Return `realm` if credentials may be sent there."""
    try:
        parts = urlsplit(realm)
        server, named = parts.netloc, bool(parts.hostname)
    except ValueError:
        raise RegistryError(
            f"logging in to {host}: the token server's URL makes no sense"
        ) from None
    local = is_loopback(server) or server in access.insecure_hosts
    allowed = parts.scheme == "https" or (parts.scheme == "http" and local)
    if not allowed or not named or "@" in server or not _TOKEN.fullmatch(realm):
        raise RegistryError(
            f"logging in to {host}: its token server {plain(realm)!r} is not reached over TLS",
            hint="no credentials were sent",
        )
    return realm


def _token_request(
    realm: str, service: str, scopes: list[str], credentials: Credentials | None
) -> Request:
    if credentials is not None and credentials.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": credentials.identity_token,
        }
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return Request("POST", realm, kind, Bytes(urlencode(form).encode()))
    asked = [("service", service)] if service else []
    query = urlencode([*asked, *(("scope", scope) for scope in scopes)])
    url = f"{realm}{'&' if '?' in realm else '?'}{query}"
    return Request("GET", url, {} if credentials is None else {"Authorization": credentials.basic})


def _lifetime(members: Mapping[str, object]) -> float:
    """Seconds for which a token is used: somewhat less than it is said to live."""
    said = members.get("expires_in", _DEFAULT_SECONDS)
    if not isinstance(said, int | float) or isinstance(said, bool):
        said = _DEFAULT_SECONDS
    seconds = min(max(float(said), 0.0), _LONGEST_SECONDS)
    return seconds - min(10.0, seconds / 5)
