# SPDX-License-Identifier: Apache-2.0
"""What two images differ in: packages, files and configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from imagekit.compare.allowed import Aspect, FileDifference, kind_of_file, kind_of_setting
from imagekit.compare.reading import lay
from imagekit.compare.tree import Entry, FileTree
from imagekit.oci.image import Image
from imagekit.values import frozen


@frozen
class Changed:
    """A package's version or a setting: None where an image has none. `allowed` names a kind."""

    name: str
    first: Any
    second: Any
    allowed: str | None = None


@frozen
class Comparison:
    """Everything that is not the same, sorted by name."""

    packages: tuple[Changed, ...]
    files: tuple[FileDifference, ...]
    settings: tuple[Changed, ...]

    def agrees(self, *, strict: bool = False) -> bool:
        """Whether nothing differs but what builders may differ in; `strict` allows nothing."""
        if strict:
            return not (self.packages or self.files or self.settings)
        return not (self.packages or None in self._kinds())

    def allowed(self) -> dict[str, int]:
        """How many differences there are of each allowed kind."""
        counts = Counter(kind for kind in self._kinds() if kind is not None)
        return dict(sorted(counts.items()))

    def _kinds(self) -> list[str | None]:
        return [each.allowed for each in self.files] + [each.allowed for each in self.settings]


def compare(first: Image, second: Image) -> Comparison:
    """Compare two images. Layers that both begin with are read once; those of equals never.

    Raises:
        IntegrityError: a layer is not what was promised.
    """
    one, other = _trees(first, second)
    return Comparison(
        tuple(_changed(_packages(one), _packages(other))),
        tuple(_files(one, other)),
        tuple(_changed(_settings(first), _settings(second), settings=True)),
    )


def _trees(first: Image, second: Image) -> tuple[dict[str, Entry], dict[str, Entry]]:
    shared = _shared_layers(first, second)
    if shared == len(first.layers) == len(second.layers):
        return {}, {}
    one = FileTree()
    lay(one, first.layers[:shared])
    other = one.copy()
    lay(one, first.layers[shared:])
    lay(other, second.layers[shared:])
    return dict(one.entries()), dict(other.entries())


def _shared_layers(first: Image, second: Image) -> int:
    """How many layers both begin with."""
    pairs = list(zip(first.layers, second.layers, strict=False))
    differing = (at for at, (one, other) in enumerate(pairs) if one.diff_id != other.diff_id)
    return next(differing, len(pairs))


def _files(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> Iterator[FileDifference]:
    for path in sorted({*one, *other}):
        first, second = one.get(path), other.get(path)
        aspects = tuple(_aspects(first, second))
        if aspects:
            difference = FileDifference(path, aspects, first, second)
            yield replace(difference, allowed=kind_of_file(difference))


def _aspects(first: Entry | None, second: Entry | None) -> Iterator[Aspect]:
    if first is None or second is None:
        yield "presence"
        return
    if first.kind != second.kind:
        yield "kind"
        return
    if first.content != second.content:
        yield "content"
    if first.mode != second.mode:
        yield "mode"
    if (first.uid, first.gid) != (second.uid, second.gid):
        yield "owner"
    if first.attributes != second.attributes:
        yield "attributes"
    if first.mtime_seconds != second.mtime_seconds:
        yield "mtime"


def _packages(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Versions by `python NAME` and `debian NAME`; several of one name are all given."""
    versions: dict[str, list[str]] = {}
    for entry in entries.values():
        # Other things that are kept are single words, or launchers.
        for name, version in zip(entry.kept[::2], entry.kept[1::2], strict=False):
            if name.startswith(("python ", "debian ")):
                versions.setdefault(name, []).append(version)
    return {name: ", ".join(sorted(found)) for name, found in versions.items()}


def _settings(image: Image) -> dict[str, Any]:
    """The configuration by name; what is empty counts as absent, as engines differ in that."""
    container = dict(image.config.object("config").members)
    variables = dict(item.partition("=")[::2] for item in container.pop("Env", None) or ())
    labels = container.pop("Labels", None) or {}
    return {
        "platform": str(image.platform),
        "created": image.config.text("created", ""),
        "history": [dict(entry.members) for entry in image.config.objects("history")],
        **{name: value for name, value in container.items() if value},
        **{f"Env.{name}": value for name, value in variables.items()},
        **{f"Labels.{name}": value for name, value in labels.items()},
    }


def _changed(
    one: Mapping[str, Any], other: Mapping[str, Any], *, settings: bool = False
) -> Iterator[Changed]:
    for name in sorted({*one, *other}):
        first, second = one.get(name), other.get(name)
        if first != second:
            yield Changed(name, first, second, kind_of_setting(name) if settings else None)
