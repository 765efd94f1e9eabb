# SPDX-License-Identifier: Apache-2.0
"""Bases brought up to date: in the specs that pin them by digest, and in their locks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagekit.answers import Answers
from imagekit.errors import BuildError, Problem, SpecError
from imagekit.files import replacing
from imagekit.lock import file
from imagekit.lock.model import Lock, RuntimePin
from imagekit.lock.oci_base import is_local
from imagekit.lock.refresh import refresh_lock
from imagekit.oci.digest import of_bytes
from imagekit.progress import Progress
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.address import split
from imagekit.spec.load import load_spec
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

_PINNED = re.compile(r"(?P<name>[^\s@'\"]+:[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})")


@frozen
class Refreshed:
    """A spec's base on one platform before and after: what tells it from others."""

    address: Path
    platform: str
    base: str
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def refresh_bases(
    specs: Mapping[Path, ImageSpec],
    client: RegistryClient,
    *,
    runtime: RuntimePin,
    progress: Progress,
) -> list[Refreshed]:
    """Take the newest base of each of `specs`, by address: in its text, and in its lock.

    A base that a spec names by tag and digest gets the digest that the tag has now. Packages
    keep the versions of the lock.

    Raises:
        RegistryError: a registry can't be asked.
        SpecError: a file can't be changed.
    """
    for path in dict.fromkeys(split(address)[0] for address in specs):
        _pin_anew(path, client)
    found: list[Refreshed] = []
    answers = Answers()
    for address in specs:
        spec = load_spec(address)
        before = {lock.target.platform: lock for lock in file.read(file.lock_path(address)) or ()}
        for lock in refresh_lock(
            spec, address, upgrade=False, runtime=runtime, progress=progress, answers=answers
        ):
            was = before.get(lock.target.platform)
            found.append(_compared(address, lock, was))
    return found


def newest_digest(reference: str, client: RegistryClient) -> str:
    """Of what a registry's tag names now; `reference` may hold a digest too, which is left out.

    Raises:
        BuildError: there is no such image.
        RegistryError: the registry can't be asked.
    """
    named = RegistryReference.parse(reference.partition("@")[0])
    digest = client.manifest_digest(named)
    if digest is None:
        raise BuildError(f"{named}: the registry has no such image")
    return digest


def _pin_anew(path: Path, client: RegistryClient) -> None:
    """Replace the digests of `NAME:TAG@DIGEST` in a spec's text."""
    text = path.read_text("utf-8")

    def newest(matched: re.Match[str]) -> str:
        name = matched["name"]
        plain = name.removeprefix("docker://")
        return matched[0] if is_local(name) else f"{name}@{newest_digest(plain, client)}"

    changed = _PINNED.sub(newest, text)
    if changed == text:
        return
    if path.suffix == ".py":
        hint = "write the new digest into it"
        raise SpecError(str(path), [Problem("is code, which is left alone", hint=hint)])
    with replacing(path) as stream:
        stream.write(changed.encode())


def _compared(address: Path, lock: Lock, was: Lock | None) -> Refreshed:
    name = str(lock.base.get("reference", "debian"))
    before = None if was is None else _identity(was.base)
    return Refreshed(address, lock.target.platform, name, before, _identity(lock.base))


def _identity(base: Mapping[str, Any]) -> str:
    """Digest of an image; of the embedded base one of what it is made of."""
    if "digest" in base:
        return str(base["digest"])
    digests = sorted(str(package["sha256"]) for package in base["packages"])
    return of_bytes("".join(digests).encode())
