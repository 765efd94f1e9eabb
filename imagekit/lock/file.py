# SPDX-License-Identifier: Apache-2.0
"""The lock as a file: PEP 751's pylock.toml, with what only we need under [tool.imagekit]."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imagekit.errors import LockError
from imagekit.files import replacing
from imagekit.lock import built_entries
from imagekit.lock.document import parse
from imagekit.lock.model import MACHINES, KnownLayer, Lock, LockedWheel, RuntimePin, Target
from imagekit.lock.reading import SHA256, MalformedError, matching, one_of, take
from imagekit.spec.address import split
from imagekit.spec.plain import normalised

_HEADER = "# Made by `imagekit lock`: what the image holds, by digest. Not meant to be edited.\n\n"
_FORMAT = 2
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_GLIBC = re.compile(r"2\.\d{1,3}")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[^\s;,\[]+ --hash=sha256:[0-9a-f]{64}")
_PYTHON = re.compile(r"3\.\d{1,2}\.\d{1,3}\S*")
_WHEEL = re.compile(
    r"(?P<name>[\w.]+)-(?P<version>[\w.!+]+)(-\d[\w.]*)?-[\w.]+-[\w.]+-(?P<platforms>[\w.]+)\.whl",
    re.ASCII,
)
_RELEASE = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*", re.ASCII)


def lock_path(spec_path: Path) -> Path:
    """Where the lock of a spec stands: beside it, `pylock.toml` for spec.yaml, else with its name.

    spec.yaml's has its name, too, where `pylock.toml` is another tool's, and stays there. Of an
    image of a matrix, the image's name follows behind `--`. PEP 751 allows no dots in that name,
    so whatever is no letter, digit, - or _ becomes -.
    """
    path, image = split(spec_path)
    if path.stem == "spec" and not image:
        plain, named = path.with_name("pylock.toml"), path.with_name("pylock.spec.toml")
        return named if _is_of_others(plain) or _content(named) is not None else plain
    words = [path.stem, image] if image else [path.stem]
    name = "--".join(re.sub(r"[^A-Za-z0-9_-]+", "-", word) for word in words)
    return path.with_name(f"pylock.{name}.toml")


def _is_of_others(path: Path) -> bool:
    """Whether another tool made the lock at `path`; what is no lock at all is told when read."""
    data = _content(path) or b""
    return b"lock-version" in data and b"tool.imagekit" not in data


def _content(path: Path) -> bytes | None:
    # Opened, not only asked for: that is what receipts take note of.
    try:
        return path.read_bytes()
    except OSError:
        return None


def own_files(spec_path: Path) -> tuple[Path, ...]:
    """What is no source of the image, absolute: the spec, and every lock beside it.

    A spec in Python may stand in a file of tasks, which are source.
    """
    path = split(spec_path)[0].absolute()
    locks = {lock_path(path), *path.parent.glob("pylock.*toml")}
    return (*([] if path.suffix == ".py" else [path]), *sorted(locks))


def write(path: Path, locks: Sequence[Lock]) -> None:
    """Put the locks of all platforms of a spec at `path`, whole or not at all."""
    with replacing(path) as stream:
        stream.write(dumps(locks).encode())


def read(path: Path) -> tuple[Lock, ...] | None:
    """The locks at `path`, one per platform; None when there is no file.

    Raises:
        LockError: it is not one of ours, or damaged.
    """
    try:
        return loads(path.read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LockError(f"{path} is not UTF-8 text") from error


def dumps(locks: Sequence[Lock]) -> str:
    """The locks as text; the same for the same locks everywhere.

    They come from one spec, for one Python minor, and differ in the platform.
    """
    import tomli_w  # noqa: PLC0415 - locks are read more often than written

    major, minor = locks[0].target.python_minor
    environments = [f"sys_platform == 'linux' and {_marker(lock)}" for lock in locks]
    document: dict[str, Any] = {
        "lock-version": "1.0",
        "created-by": "imagekit",
        "requires-python": f"=={major}.{minor}.*",
        "environments": environments,
        "packages": list(_packages(locks)),
        "tool": {"imagekit": _own_section(locks)},
    }
    return _HEADER + tomli_w.dumps(document)


def loads(text: str, *, source: str) -> tuple[Lock, ...]:
    """The locks that `text` says, one per platform; `source` names it in errors.

    Raises:
        LockError: it is not one of ours, or damaged.
    """
    document = parse(text, source)
    own = document.get("tool", {}).get("imagekit")
    if not isinstance(own, dict):
        raise LockError(
            f"{source} was not made by imagekit, so it is left alone",
            hint="move it, or give the spec another name",
        )
    if own.get("format") != _FORMAT:
        raise LockError(
            f"{source} has format {own.get('format')!r}; this imagekit reads format {_FORMAT}",
            hint="use the imagekit that made it, or remove it to make it anew",
        )
    try:
        return _locks(document, own)
    except MalformedError as error:
        raise LockError(f"{source}: {error}", hint="remove it to make it anew") from error


def _marker(lock: Lock) -> str:
    return f"platform_machine == '{lock.target.machine}'"


def _packages(locks: Sequence[Lock]) -> Iterator[dict[str, Any]]:
    """An entry per wheel; one that not every platform takes says in its marker which one does."""
    wheels = {wheel: None for lock in locks for wheel in lock.packages}
    for wheel in sorted(wheels, key=lambda each: (each.name, each.filename)):
        takers = [lock for lock in locks if wheel in lock.packages]
        marker = "" if len(takers) == len(locks) else " or ".join(map(_marker, takers))
        yield _package(wheel, marker)


def _package(wheel: LockedWheel, marker: str) -> dict[str, Any]:
    marked = {"marker": marker} if marker else {}
    if wheel.built is not None:
        return built_entries.entry_of(wheel, wheel.built, marked)
    entry: dict[str, Any] = {"name": wheel.filename}
    # PEP 751 wants one of url and path.
    entry |= {"path": wheel.filename} if wheel.url is None else {"url": wheel.url}
    if wheel.size_bytes is not None:
        entry["size"] = wheel.size_bytes
    entry["hashes"] = {"sha256": wheel.sha256}
    named = {"name": wheel.name, "version": wheel.version}
    return named | marked | {"wheels": [entry]}


def _own_section(locks: Sequence[Lock]) -> dict[str, Any]:
    first = locks[0]
    section: dict[str, Any] = {
        "format": _FORMAT,
        "spec": first.spec_digest,
        "uv": first.uv_version,
    }
    if first.runtime is not None:
        section["runtime"] = {"version": first.runtime.version, "sha256": first.runtime.sha256}
    return section | {"platforms": [_platform(lock) for lock in locks]}


def _platform(lock: Lock) -> dict[str, Any]:
    target = lock.target
    section: dict[str, Any] = {
        "platform": target.platform,
        "python": {"version": target.python_version, "path": target.python_path},
        "glibc": target.glibc,
        "base": dict(lock.base),
    }
    if lock.apt is not None:
        section["apt"] = dict(lock.apt)
    if lock.at_start:
        section["at-start"] = list(lock.at_start)
    if lock.layers:
        section["layers"] = [_layer(layer) for layer in lock.layers]
    return section


def _layer(layer: KnownLayer) -> dict[str, Any]:
    return {
        "recipe": layer.recipe,
        "digest": layer.digest,
        "diff-id": layer.diff_id,
        "size": layer.size_bytes,
    }


def _known_layer(table: Mapping[str, Any]) -> KnownLayer:
    return KnownLayer(
        matching(table, "recipe", SHA256),
        matching(table, "digest", _DIGEST),
        matching(table, "diff-id", _DIGEST),
        take(table, "size", int),
    )


def _locks(document: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[Lock, ...]:
    platforms = take(own, "platforms", list)
    locks = tuple(_lock(document, own, each) for each in platforms)
    if not locks or len({lock.target.platform for lock in locks}) != len(locks):
        raise MalformedError("platforms is empty, or names one twice")
    return locks


def _lock(document: Mapping[str, Any], own: Mapping[str, Any], at: Mapping[str, Any]) -> Lock:
    python = take(at, "python", dict)
    runtime = own.get("runtime")
    target = Target(
        platform=one_of(at, "platform", MACHINES),
        python_version=matching(python, "version", _PYTHON),
        python_path=take(python, "path", str),
        glibc=matching(at, "glibc", _GLIBC),
    )
    packages = [each for each in document.get("packages", []) if _is_for(each, target)]
    return Lock(
        spec_digest=take(own, "spec", str),
        target=target,
        base=take(at, "base", dict),
        packages=tuple(_wheel(each, target) for each in packages),
        runtime=None if runtime is None else _runtime(runtime),
        uv_version=take(own, "uv", str),
        apt=take(at, "apt", dict) if "apt" in at else None,
        layers=tuple(_known_layer(each) for each in at.get("layers", [])),
        at_start=tuple(map(_pinned, at.get("at-start", []))),
    )


def _pinned(line: object) -> str:
    if not isinstance(line, str) or not _PINNED.fullmatch(line):
        raise MalformedError(f"at-start has {line!r:.100}, which is no pinned package")
    return line


def _is_for(package: Mapping[str, Any], target: Target) -> bool:
    """Whether its marker, of the one form that `_packages` writes, names the target."""
    if "marker" not in package:
        return True
    terms = take(package, "marker", str).split(" or ")
    machines = [term.removeprefix("platform_machine == ").strip("'") for term in terms]
    if not set(machines) <= set(MACHINES.values()):
        raise MalformedError(f"marker {package['marker']!r} is not as it should be")
    return target.machine in machines


def _runtime(table: Mapping[str, Any]) -> RuntimePin:
    return RuntimePin(take(table, "version", str), matching(table, "sha256", SHA256))


def _wheel(package: Mapping[str, Any], target: Target) -> LockedWheel:
    name = take(package, "name", str)
    built = built_entries.built_from(package)
    entry = _only_wheel(package, name) if built is None else built_entries.wheel_of(package)
    filename = take(entry, "name", str)
    size = entry.get("size")
    wheel = LockedWheel(
        name=name,
        version=take(package, "version", str) if "version" in package else _version_of(filename),
        filename=filename,
        sha256=matching(take(entry, "hashes", dict), "sha256", SHA256),
        size_bytes=None if size is None else take(entry, "size", int),
        url=take(entry, "url", str) if "url" in entry else None,
        built=built,
    )
    _check_filename(wheel, target)
    return wheel


def _only_wheel(package: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    wheels = take(package, "wheels", list)
    if len(wheels) != 1:
        raise MalformedError(f"{name} has {len(wheels)} wheels instead of one")
    found: Mapping[str, Any] = wheels[0]
    return found


def _version_of(filename: str) -> str:
    matched = _WHEEL.fullmatch(filename)
    return "" if matched is None else _version(matched["version"])


def _check_filename(wheel: LockedWheel, target: Target) -> None:
    """Whether the name says what the lock says of it (binary distribution format, file name)."""
    matched = _WHEEL.fullmatch(wheel.filename)
    if matched is None or normalised(matched["name"]) != normalised(wheel.name):
        raise MalformedError(f"{wheel.filename!r} is no wheel of {wheel.name}")
    if _version(matched["version"]) != wheel.version:
        raise MalformedError(f"{wheel.filename!r} is not version {wheel.version}")
    platforms = matched["platforms"].split(".")
    if not any(tag == "any" or tag.endswith(target.machine) for tag in platforms):
        raise MalformedError(f"{wheel.filename!r} does not run on {target.platform}")


def _version(text: str) -> str:
    if _RELEASE.fullmatch(text):
        return text
    # Most locks hold plain releases alone, and loading this takes longer than reading them.
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        return str(Version(text))
    except InvalidVersion:
        return ""
