# SPDX-License-Identifier: Apache-2.0
"""The user's credentials for a registry, from where `docker login` and `podman login` put them.

Looked for only when a registry asks for them. A helper that fails is an error: that there are no
credentials is something only a helper that works can say.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from imagekit.errors import RegistryError
from imagekit.oci.document import LIMIT_BYTES, Document
from imagekit.registry.reference import credentials_key
from imagekit.values import frozen

_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS = 60
_NOT_FOUND = ("credentials not found", "no credentials server url", "no credentials username")
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers call a user who is known by token alone


@frozen
class Credentials:
    """A user and password, or an identity token, or a registry token; the rest is empty."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        found = (self.password, self.identity_token, self.registry_token)
        return (*filter(None, found), self.basic.partition(" ")[2])


def find_credentials(
    host: str, repository: str, environ: Mapping[str, str], home: Path | None = None
) -> Credentials | None:
    """The first that is found, or None where the user has none for that registry.

    Raises:
        RegistryError: a helper does not work, or an entry can't be read.
        IntegrityError: a configuration file is not what it should be.
    """
    for path in _files(environ, home or Path.home()):
        document = _read(path)
        if document is not None:
            found = _in_file(document, host, repository, environ)
            if found is not None:
                return found
    return None


def _files(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _read(path: Path) -> Document | None:
    try:
        with path.open("rb") as stream:
            return Document.parse(stream.read(LIMIT_BYTES + 1), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RegistryError(f"reading credentials: {path}: {error.strerror}") from error


def _in_file(
    document: Document, host: str, repository: str, environ: Mapping[str, str]
) -> Credentials | None:
    key = credentials_key(host)
    helpers = document.text_map("credHelpers")
    helper = helpers.get(key) or helpers.get(host) or document.text("credsStore", "")
    found = _ask_helper(helper, key, environ) if helper else None
    return found or _entry(document.object("auths"), host, repository)


def _entry(auths: Document, host: str, repository: str) -> Credentials | None:
    """That of the longest name: podman keeps entries for namespaces and repositories too."""
    parts = f"{host}/{repository}".split("/")
    wanted = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    stored = {name: name for name in auths.members}
    stored.update((_host_of(name), name) for name in auths.members if "://" in name)
    for name in (*wanted, _host_of(credentials_key(host))):
        if name in stored:
            found = _decode(auths.object(stored[name]))
            if found is not None:
                return found
    return None


def _host_of(key: str) -> str:
    return key.partition("://")[2].partition("/")[0] if "://" in key else key


def _decode(entry: Document) -> Credentials | None:
    username, password = entry.text("username", ""), entry.text("password", "")
    encoded = entry.text("auth", "")
    if encoded:
        try:
            decoded = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise RegistryError(f"{entry.source}: 'auth' can't be decoded") from None
        username, _, password = decoded.partition(":")
        password = password.strip("\0")
    identity, registry = entry.text("identitytoken", ""), entry.text("registrytoken", "")
    if not (password or identity or registry):
        return None
    return Credentials(username, password, identity, registry)


def _ask_helper(helper: str, key: str, environ: Mapping[str, str]) -> Credentials | None:
    name = f"docker-credential-{helper}"
    program = shutil.which(name, path=environ.get("PATH")) if _HELPER.fullmatch(helper) else None
    if program is None:
        raise RegistryError(
            f"credentials for {key}: there is no program {name[:100]!r}",
            hint="the Docker configuration names it; install it, or log in again without it",
        )
    try:
        done = subprocess.run(
            [program, "get"],
            input=key.encode(),
            capture_output=True,
            env=dict(environ),
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"credentials for {key}: {name}: {_why(error)}") from None
    if done.returncode != 0:
        # Its words are read and not quoted: helpers print secrets there too.
        said = (done.stdout + done.stderr).lower()
        if any(words.encode() in said for words in _NOT_FOUND):
            return None
        raise RegistryError(
            f"credentials for {key}: {name} failed with exit status {done.returncode}",
            hint=f"`echo {key} | {name} get` shows why",
        )
    return _from_helper(Document.parse(done.stdout, f"answer of {name}"))


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {_HELPER_SECONDS} seconds"
    return str(error.strerror) if isinstance(error, OSError) else type(error).__name__


def _from_helper(answer: Document) -> Credentials | None:
    username, secret = answer.text("Username", ""), answer.text("Secret", "")
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username, secret) if secret else None
