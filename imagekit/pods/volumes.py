# SPDX-License-Identifier: Apache-2.0
"""What a pod's volumes are on this machine, and the files that they begin with.

A folder of this machine is bound. Everything else is a volume of the engine's: the engine may run
somewhere else, and as another user.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from imagekit.pods.documents import Data, DataKind
from imagekit.pods.environment import MissingError, Surroundings, field_of, resource_of
from imagekit.pods.model import Container, Pod, Volume
from imagekit.values import frozen
from sidecars.quantity import parse_quantity

READ_ONLY_KINDS = frozenset(("secret", "configMap", "downwardAPI", "image"))
_ANYBODY, _SET_GROUP, _READ_BY_GROUP = 0o777, 0o2000, 0o440


@frozen
class File:
    """`path` is relative to the volume."""

    path: str
    data: bytes
    mode: int


@frozen
class Bound:
    """A file or folder of this machine."""

    path: Path


@frozen
class Stored:
    """A volume of the engine's, in its memory or on its disk. `image` is copied into it."""

    memory: bool = False
    size_bytes: int | None = None
    files: tuple[File, ...] = ()
    mode: int = _ANYBODY
    image: str | None = None


def places_of(
    pod: Pod, data: Data, claims: Mapping[str, Path], around: Surroundings
) -> tuple[dict[str, Bound | Stored], list[str]]:
    """Each volume by its name, and everything that is wrong with them."""
    found: dict[str, Bound | Stored] = {}
    problems: list[str] = []
    for name, volume in pod.volumes.items():
        try:
            found[name] = _place(volume, pod, data, claims, around)
        except MissingError as error:
            problems.append(f"volume {name!r}: {error}")
    return found, problems


def _place(
    volume: Volume, pod: Pod, data: Data, claims: Mapping[str, Path], around: Surroundings
) -> Bound | Stored:
    source = volume.source
    match volume.kind:
        case "emptyDir":
            return _empty(source)
        case "hostPath":
            return Bound(_host_path(source))
        case "persistentVolumeClaim":
            return Bound(_claimed(source["claimName"], claims))
        case "image":
            return Stored(image=source["reference"], mode=0o755)
        case "downwardAPI":
            files = _told(source, pod, around)
        case "secret":
            files = _kept(source, source.get("secretName", ""), "Secret", data)
        case _:
            files = _kept(source, source.get("name", ""), "ConfigMap", data)
    # Secrets never come to a disk, and what is small is best in memory too.
    return Stored(memory=True, files=tuple(files), mode=0o755)


def _empty(source: Mapping[str, Any]) -> Stored:
    size = source.get("sizeLimit")
    return Stored(
        memory=source.get("medium") == "Memory",
        size_bytes=None if size is None else int(parse_quantity(size)),
    )


def _claimed(claim: str, claims: Mapping[str, Path]) -> Path:
    if claim not in claims:
        raise MissingError(f"no claim {claim!r}; --volume {claim}=DIR gives one")
    return claims[claim]


def _host_path(source: Mapping[str, Any]) -> Path:
    path, kind = Path(source["path"]), source.get("type") or ""
    if not path.is_absolute():
        raise MissingError(f"hostPath {str(path)!r} is not absolute")
    if kind in ("DirectoryOrCreate", "") and not path.exists():
        path.mkdir(parents=True)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch()
    fits = {"Directory": path.is_dir, "File": path.is_file, "Socket": path.is_socket}
    if not fits.get(kind, path.exists)():
        raise MissingError(f"hostPath {str(path)!r} is no {kind or 'path'} of this machine")
    return path


def _kept(source: Mapping[str, Any], name: str, kind: DataKind, data: Data) -> Iterator[File]:
    """The keys of a secret or config map as files."""
    keys = data.of(kind).get(name)
    if keys is None:
        if source.get("optional"):
            return
        option = "--secret" if kind == "Secret" else "--config-map"
        raise MissingError(f"no {kind} {name!r}; {option} {name}=DIR gives one")
    mode = _mode(source.get("defaultMode"), 0o644)
    items = source.get("items") or [{"key": key, "path": key} for key in sorted(keys)]
    for item in items:
        if item["key"] in keys:
            yield File(_inside(item["path"]), keys[item["key"]], _mode(item.get("mode"), mode))
        elif not source.get("optional"):
            raise MissingError(f"{kind} {name!r} has no key {item['key']!r}")


def _told(source: Mapping[str, Any], pod: Pod, around: Surroundings) -> Iterator[File]:
    """The files of a downward API volume."""
    mode = _mode(source.get("defaultMode"), 0o644)
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            path = item["fieldRef"]["fieldPath"]
            maps = {"metadata.labels": pod.labels, "metadata.annotations": pod.annotations}
            text = _lines(maps[path]) if path in maps else field_of(path, pod, around)
        else:
            text = resource_of(item["resourceFieldRef"], Container("", ""), pod)
        yield File(_inside(item["path"]), text.encode(), _mode(item.get("mode"), mode))


def _lines(values: Mapping[str, str]) -> str:
    """As the kubelet writes labels into a file."""
    quoted = (f"{key}={json.dumps(values[key], ensure_ascii=False)}" for key in sorted(values))
    return "\n".join(quoted)


def _mode(given: int | None, default: int) -> int:
    return default if given is None else given


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise MissingError(f"{text!r} is no path inside a volume")
    return str(path)


def archive(places: Mapping[str, Bound | Stored], below: str, group: int | None) -> bytes:
    """A tar with the engine's volumes in the folder `below`: their files, and whose they are.

    With a group (`fsGroup`) all of it is the group's, which may do there what the owner may, and
    new files stay the group's.
    https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, place in places.items():
            if isinstance(place, Bound):
                continue
            root = f"{below}/{name}"
            _folder(tar, root, place.mode, group)
            made = set()
            for file in place.files:
                for parent in reversed(PurePosixPath(file.path).parents):
                    if parent.parts and parent not in made:
                        made.add(parent)
                        _folder(tar, f"{root}/{parent}", 0o755, group)
                mode = file.mode if group is None else file.mode | _READ_BY_GROUP
                add_file(tar, f"{root}/{file.path}", file.data, mode, group)
    return buffer.getvalue()


def _folder(tar: tarfile.TarFile, path: str, mode: int, group: int | None) -> None:
    info = tarfile.TarInfo(path)
    info.type = tarfile.DIRTYPE
    info.mode = mode if group is None else mode | _SET_GROUP | 0o070
    info.gid = group or 0
    tar.addfile(info)


def add_file(
    tar: tarfile.TarFile, path: str, data: bytes, mode: int, group: int | None = None
) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.gid = len(data), mode, group or 0
    tar.addfile(info, io.BytesIO(data))
