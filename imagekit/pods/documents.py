# SPDX-License-Identifier: Apache-2.0
"""The YAML that a pod comes in: the pod, and the secrets and config maps beside it.

Secrets and config maps also come from the command line: `NAME=DIR`, a file per key, as they look
in a volume; or `FILE.yaml`, a document of that kind.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import yaml

from imagekit.errors import PodError
from imagekit.values import frozen

DataKind = Literal["Secret", "ConfigMap"]

_TEMPLATES = frozenset(
    ("CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController",
     "StatefulSet")
)  # fmt: skip


_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)
"""ValueError: PyYAML lets those of dates that are none through."""


@frozen
class Data:
    """Everything that pods refer to by name: the keys of each secret and config map."""

    secrets: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    config_maps: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

    def of(self, kind: DataKind) -> Mapping[str, Mapping[str, bytes]]:
        return self.secrets if kind == "Secret" else self.config_maps

    def laid_under(self, other: Data) -> Data:
        """Both; of two with one name, the other's."""
        return Data({**self.secrets, **other.secrets}, {**self.config_maps, **other.config_maps})


def load_documents(text: str, source: str) -> tuple[dict[str, Any], Data]:
    """The one pod in `text`, and its data.

    Raises PodError: no YAML, no pod or several, or documents of other kinds.
    """
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except _UNREADABLE as error:
        raise PodError(source, [f"this is no YAML: {error}"]) from error
    pods, data, problems = [], Data(), []
    for document in _flattened(documents):
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind == "Pod":
            pods.append(document)
        elif kind in ("Secret", "ConfigMap"):
            found = list(_data_problems(document))
            problems += found
            data = data if found else data.laid_under(_data_of(document))
        else:
            problems.append(_no_pod(kind))
    if not problems and len(pods) != 1:
        problems.append(f"one pod is run at a time, and here are {len(pods)}")
    if problems:
        raise PodError(source, problems)
    return pods[0], data


def load_data(kind: DataKind, given: Iterable[str]) -> Data:
    """What `--secret` or `--config-map` names."""
    data = Data()
    for text in given:
        name, equals, folder = text.partition("=")
        if equals:
            keys = {name: dict(_keys_in(Path(folder), kind))}
            data = data.laid_under(_data(kind, keys))
        else:
            data = data.laid_under(_data_in_file(Path(text), kind))
    return data


def _data(kind: DataKind, keys: Mapping[str, Mapping[str, bytes]]) -> Data:
    return Data(secrets=keys) if kind == "Secret" else Data(config_maps=keys)


def _keys_in(folder: Path, kind: DataKind) -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        raise PodError(str(folder), [f"a {kind} is read from a folder, and this is none"])
    for path in sorted(folder.iterdir()):
        # The folders that a mounted secret consists of begin with dots.
        if path.is_file() and not path.name.startswith(".."):
            yield path.name, path.read_bytes()


def _data_in_file(path: Path, kind: DataKind) -> Data:
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]
    except (OSError, *_UNREADABLE) as error:
        raise PodError(str(path), [f"reading it: {error}"]) from error
    data, problems = Data(), []
    for document in _flattened(documents):
        if not isinstance(document, dict) or document.get("kind") != kind:
            problems.append(f"this is no {kind}")
            continue
        found = list(_data_problems(document))
        problems += found
        data = data if found else data.laid_under(_data_of(document))
    if problems:
        raise PodError(str(path), problems)
    return data


def _flattened(documents: Iterable[Any]) -> Iterator[Any]:
    """`kubectl get -o yaml` gives a List of several."""
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        if isinstance(items, list) and document.get("kind") == "List":
            yield from items
        else:
            yield document


def _no_pod(kind: Any) -> str:
    if isinstance(kind, str) and kind in _TEMPLATES:
        return f"a {kind} makes pods, and is none: take its template, with `kind: Pod` and a name"
    return f"kind {kind!r} is not run here: a Pod, and Secrets and ConfigMaps beside it"


def _data_problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Never quotes a value."""
    kind = document["kind"]
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str):
        yield f"a {kind} without metadata.name"
    for key in ("data", "stringData", "binaryData"):
        values = document.get(key) or {}
        if not isinstance(values, dict) or not all(map(_is_text, values, values.values())):
            yield f"{kind} {name}: {key} is no mapping of strings"
        elif _is_encoded(kind, key):
            for inner, text in values.items():
                try:
                    base64.b64decode("".join(text.split()), validate=True)
                except (binascii.Error, ValueError):
                    yield f"{kind} {name}: {key}.{inner} is no base64"


def _is_text(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, str)


def _is_encoded(kind: str, key: str) -> bool:
    return key == "binaryData" or (kind == "Secret" and key == "data")


def _data_of(document: Mapping[str, Any]) -> Data:
    kind: DataKind = document["kind"]
    keys: dict[str, bytes] = {}
    for key in ("data", "binaryData", "stringData"):
        for name, text in (document.get(key) or {}).items():
            keys[name] = base64.b64decode(text) if _is_encoded(kind, key) else text.encode()
    return _data(kind, {document["metadata"]["name"]: keys})
