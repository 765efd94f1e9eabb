# SPDX-License-Identifier: Apache-2.0
"""Which base a spec stands on, and what is known of it: the start of every resolution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagekit.answers import Answers
from imagekit.debian.apt.resolve import AptBase
from imagekit.debian.assemble import resolve_base as resolve_debian
from imagekit.debian.base import DebianBase
from imagekit.debian.releases import release_named
from imagekit.debian.sources import Mirrors, find_mirrors
from imagekit.errors import LockError
from imagekit.lock.model import Lock, Target
from imagekit.lock.oci_base import describe, open_base, open_locked, section_of
from imagekit.lock.probe import BaseFacts
from imagekit.progress import Progress
from imagekit.spec.model import ImageSpec
from imagekit.spec.plugins import plugins_refusing
from imagekit.values import frozen

DEFAULT_PYTHON_VERSION = "3.11"
"""Of the embedded base when the spec names none; never that of the machine that builds."""


@frozen
class Base:
    """What wheels have to run on, the base as the lock keeps it, and what Debian packages meet."""

    target: Target
    section: Mapping[str, Any]
    apt: AptBase


def resolve_base(
    spec: ImageSpec,
    folder: Path,
    platform: str,
    *,
    environ: Mapping[str, str],
    progress: Progress,
    answers: Answers,
) -> Base:
    """Choose the base that `spec` names, for one of its platforms.

    `folder` is what the paths of `spec` start from.

    Raises:
        LockError: there is no such base, or it can't carry a task image.
        FetchError: a mirror could not be asked.
        IntegrityError: a mirror's answer is not what Debian signed.
    """
    name = _image_name(spec)
    if name is not None:
        wanted = (name, folder, platform, spec.python_version, spec.python_exec)
        found = answers.once(("base", *wanted), lambda: _image_base(*wanted, progress))
        _refuse_plugins(spec, ".".join(found.target.python_version.split(".")[:2]))
        return found
    version = spec.python_version or DEFAULT_PYTHON_VERSION
    _refuse_plugins(spec, version)
    mirrors = find_mirrors(environ, spec.builder_options)
    base = answers.once(
        ("Debian", version, platform, mirrors),
        lambda: resolve_debian(version, platform, mirrors, progress=progress, answers=answers),
    )
    _refuse_other_interpreter(spec, base.python_path)
    _, major, minor = base.libc
    target = Target(platform, base.python_version, base.python_path, f"{major}.{minor}")
    return Base(target, {"kind": "debian", **base.to_dict()}, AptBase(base.release, embedded=base))


def _image_base(
    name: str,
    folder: Path,
    platform: str,
    python_version: str | None,
    python_exec: str | None,
    progress: Progress,
) -> Base:
    image = open_base(name, folder, platform, progress)
    target, facts = describe(image, platform, python_version, python_exec)
    return Base(target, section_of(image, name, facts), _apt_base(facts))


def locked_apt_base(lock: Lock, folder: Path, progress: Progress) -> AptBase:
    """What Debian packages meet on the base that `lock` pins, whose paths start from `folder`.

    Raises what `oci_base.open_locked` raises.
    """
    if lock.base["kind"] == "debian":
        base = DebianBase.from_dict(lock.base)
        return AptBase(base.release, embedded=base)
    platform = lock.target.platform
    image = open_locked(lock.base, folder, platform, progress)
    return _apt_base(describe(image, platform, None, lock.target.python_path)[1])


def _apt_base(facts: BaseFacts) -> AptBase:
    return AptBase(
        _code_name(facts.os_release),
        facts.dpkg_status,
        facts.dpkg_triggers,
        keys=facts.apt_keys,
        sources=facts.apt_sources,
    )


def _refuse_plugins(spec: ImageSpec, version: str) -> None:
    """Before packages are resolved: what no package index can mend."""
    for message, hint, _ in plugins_refusing(spec, version):
        raise LockError(
            f"{message}; the base has Python {version}",
            hint=f"{hint}: base_image names such a base",
        )


def _refuse_other_interpreter(spec: ImageSpec, path: str) -> None:
    names = (path, "/usr/bin/python3", "/usr/bin/python")
    if spec.python_exec not in (None, *names):
        raise LockError(
            f"python_exec {spec.python_exec}: the embedded base has {path} alone",
            hint="leave it out, or name a base image that has it",
        )


def apt_mirrors(options: Mapping[str, str], environ: Mapping[str, str], base: AptBase) -> Mirrors:
    """For packages on `base`: those of a spec's options, the environment's, the machine's, its own.

    Raises:
        LockError: its distribution is none whose packages can be verified.
        FetchError: none is known.
    """
    distribution = release_named(base.release, base.keys).distribution
    return find_mirrors(environ, options, distribution=distribution, base=lambda: base.sources)


def _code_name(system: Mapping[str, str]) -> str:
    """Of a release; with the name of its distribution where that is not Debian itself."""
    name = system.get("VERSION_CODENAME", "")
    distribution = system.get("ID", "")
    return name if distribution == "debian" else f"{distribution} {name}".strip()


def _image_name(spec: ImageSpec) -> str | None:
    """The base as the name of an image; None for the embedded one."""
    name = spec.base_image
    if isinstance(name, ImageSpec):
        raise TypeError("a base that is a spec has a lock of its own")
    return None if name in (None, "debian") else name
