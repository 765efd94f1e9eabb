# SPDX-License-Identifier: Apache-2.0
"""Git repositories: fetched by the user's own git, with its configuration, helpers and agent.

Every repository has one mirror in the cache, without credentials. Those that stand in a URL reach
git through the environment, as argument lists are public, and are for that server alone.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from imagekit.errors import FetchError, LockError
from imagekit.files import exclusive
from imagekit.paths import cache_directory
from imagekit.urls import masked
from imagekit.usage import used
from imagekit.values import frozen

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_HEAD = "refs/imagekit/head"
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", f"+HEAD:{_HEAD}")
# git-config(1): of a helper that is a shell function the words of the environment are used.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$IMAGEKIT_GIT_USER" "$IMAGEKIT_GIT_PASSWORD"; }; f'
)


@frozen
class Repository:
    """`url` as it may be written down; `credentials` as `(user, password)`, or None."""

    url: str
    credentials: tuple[str, str] | None

    @classmethod
    def parse(cls, location: str) -> Repository:
        """Of a URL that may hold credentials. SSH takes none, and its user belongs to the URL."""
        parts = urlsplit(location)
        if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
            return cls(location, None)
        host = parts.netloc.rpartition("@")[2]
        words = (unquote(parts.username or ""), unquote(parts.password or ""))
        return cls(urlunsplit(parts._replace(netloc=host)), words)


def find_commit(repository: Repository, revision: str, environ: Mapping[str, str]) -> str:
    """The commit that a branch, tag, commit or ref is now; empty means HEAD.

    Raises:
        FetchError: the repository can't be fetched.
        LockError: it has no such revision, or there is no git.
    """
    mirror = _mirror(repository)
    with exclusive(mirror.with_suffix(".lock")):
        _fetch(repository, mirror, _EVERYTHING, environ)
        names = [f"refs/tags/{revision}", f"refs/heads/{revision}"] if revision else [_HEAD]
        if _COMMIT.fullmatch(revision):
            names.append(revision)
        for name in names:
            found = _commit(mirror, name, environ)
            if found:
                return found
        if revision.startswith("refs/") or _COMMIT.fullmatch(revision):
            _fetch(repository, mirror, [f"+{revision}:refs/imagekit/asked"], environ)
            return _commit(mirror, "refs/imagekit/asked", environ)
    raise LockError(
        f"{repository.url} has no branch, tag or commit {revision!r}",
        hint="is it pushed?",
    )


def check_out(repository: Repository, commit: str, into: Path, environ: Mapping[str, str]) -> None:
    """Put `commit`, with its submodules, into the folder `into`, which is made.

    Raises:
        FetchError: the repository does not have it any more, or can't be fetched.
    """
    mirror = _mirror(repository)
    with exclusive(mirror.with_suffix(".lock")):
        if not used(mirror) or not _commit(mirror, commit, environ):
            _fetch(repository, mirror, _EVERYTHING, environ)
        if not _commit(mirror, commit, environ):
            _fetch(repository, mirror, [f"+{commit}:refs/imagekit/{commit}"], environ)
        _git(
            ["clone", "--quiet", "--no-checkout", "--no-hardlinks", str(mirror), str(into)], environ
        )
    here = ["-C", str(into)]
    _git([*here, "remote", "set-url", "origin", repository.url], environ)
    _git([*here, "checkout", "--quiet", "--detach", commit], environ)
    if (into / ".gitmodules").is_file():
        modules = [*here, "submodule", "--quiet", "update", "--init", "--recursive"]
        _git(modules, _with_credentials(repository, environ))


def _mirror(repository: Repository) -> Path:
    key = hashlib.sha256(repository.url.encode()).hexdigest()[:32]
    return cache_directory() / "git" / key


def _fetch(
    repository: Repository, mirror: Path, refs: Sequence[str], environ: Mapping[str, str]
) -> None:
    if not used(mirror):
        shutil.rmtree(mirror, ignore_errors=True)
        _git(["init", "--quiet", "--bare", str(mirror)], environ)
    fetch = [
        "-C",
        str(mirror),
        "fetch",
        "--quiet",
        "--no-auto-gc",
        "--force",
        "--no-write-fetch-head",
    ]
    _git([*fetch, repository.url, *refs], _with_credentials(repository, environ))


def _commit(mirror: Path, name: str, environ: Mapping[str, str]) -> str:
    command = ["git", "-C", str(mirror), "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    found = subprocess.run(
        command, env=_plain(environ), capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else ""


def _git(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run git; it never asks at a terminal, and leaves bytes as they are."""
    settings = ["-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"]
    try:
        done = subprocess.run(
            ["git", *settings, *words],
            env=_plain(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            umask=0o022,
        )
    except FileNotFoundError as error:
        raise LockError("there is no git on this machine", hint="install git") from error
    if done.returncode:
        said = masked(done.stderr.decode(errors="replace")).strip()
        lines = [line for line in said.splitlines() if line.strip()][-4:]
        raise FetchError(
            f"git {words[2] if words[0] == '-C' else words[0]}: {' '.join(lines)}",
            hint="git's own configuration, credential helpers and SSH agent are used; "
            "does `git ls-remote` of that URL work?",
        )


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what a git that started us says of its own repository; its settings stay."""
    ours = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
    kept = {name: value for name, value in environ.items() if name not in ours}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}


def _with_credentials(repository: Repository, environ: Mapping[str, str]) -> dict[str, str]:
    """With a credential helper that knows those of the URL, for its server alone."""
    if repository.credentials is None:
        return dict(environ)
    parts = urlsplit(repository.url)
    count = int(environ.get("GIT_CONFIG_COUNT", "0"))
    user, password = repository.credentials
    return {
        **environ,
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"credential.{parts.scheme}://{parts.netloc}.helper",
        f"GIT_CONFIG_VALUE_{count}": _HELPER,
        "IMAGEKIT_GIT_USER": user,
        "IMAGEKIT_GIT_PASSWORD": password,
    }
