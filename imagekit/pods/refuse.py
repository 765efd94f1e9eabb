# SPDX-License-Identifier: Apache-2.0
"""Finds everything in a pod that can't be run here, with its path in the YAML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagekit.pods.fields import POD, Leaf

_REQUIRED: Mapping[str, Sequence[str]] = {
    "ports": ("containerPort",),
    "httpGet": ("port",),
    "tcpSocket": ("port",),
    "sleep": ("seconds",),
    "httpHeaders": ("name",),
    "hostAliases": ("ip",),
    "secretKeyRef": ("name", "key"),
    "configMapKeyRef": ("name", "key"),
    "secretRef": ("name",),
    "configMapRef": ("name",),
    "fieldRef": ("fieldPath",),
    "resourceFieldRef": ("resource",),
    "secret.items": ("key", "path"),
    "configMap.items": ("key", "path"),
    "downwardAPI.items": ("path",),
    "hostPath": ("path",),
    "persistentVolumeClaim": ("claimName",),
    "image": ("reference",),
}
"""What a mapping can't do without, by the end of its path; `rules` looks at the rest."""


def refusals(document: Any, table: Any = POD, path: str = "") -> Iterator[str]:
    """One line per field, in the document's order."""
    if document is None:
        return
    if isinstance(table, Leaf):
        if (wrong := table.wrong(document)) is not None:
            yield f"{path}: {wrong}"
    elif isinstance(table, tuple):
        yield from _in_list(document, table[0], path)
    else:
        yield from _in_mapping(document, table, path)


def _in_list(document: Any, table: Any, path: str) -> Iterator[str]:
    if not isinstance(document, list):
        yield f"{path}: {document!r} is no list"
        return
    for place, item in enumerate(document):
        if item is None:
            yield f"{path}[{place}]: is empty"
        yield from refusals(item, table, f"{path}[{place}]")


def _in_mapping(document: Any, table: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(document, Mapping):
        yield f"{path or 'the document'}: {document!r} is no mapping"
        return
    bare = re.sub(r"\[\d+\]", "", path)
    for end, names in _REQUIRED.items():
        if f".{bare}".endswith(f".{end}"):
            yield from (f"{path}.{n}: is missing" for n in names if document.get(n) is None)
    for name, value in document.items():
        inner = f"{path}.{name}" if path else str(name)
        if name in table:
            yield from refusals(value, table[name], inner)
        elif value is not None:
            near = difflib.get_close_matches(str(name), table, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{inner}: not a field that can be run here{hint}"


def without_effect(document: Any, table: Any = POD, path: str = "") -> Iterator[str]:
    """The paths of fields that are taken and change nothing on a single machine."""
    if isinstance(table, Leaf):
        if table.effect == "unused":
            yield path
    elif isinstance(table, tuple):
        for place, item in enumerate(document or ()):
            yield from without_effect(item, table[0], f"{path}[{place}]")
    else:
        for name, value in (document or {}).items():
            if value is not None:
                yield from without_effect(value, table[name], f"{path}.{name}" if path else name)
