# SPDX-License-Identifier: Apache-2.0
"""Which layers of an image a build will change, and why each: see `causes`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from imagekit.builders.causes import Cause, Sides
from imagekit.builders.forecast import Forecast, ForecastLayer
from imagekit.builders.record import record_of
from imagekit.compare.reading import lay
from imagekit.compare.tree import FileTree
from imagekit.errors import BuildError
from imagekit.oci.image import Image
from imagekit.oci.layer import Layer
from imagekit.planning.steps import (
    AddUser,
    CopyFiles,
    InstallDebian,
    InstallRuntime,
    InstallWheels,
    ListLibraries,
    MakeEnvironment,
    RunCommands,
    StartFromDebian,
)
from imagekit.values import frozen

_OURS = "imagekit: "
_SOURCE, _COPIES = "source ", "copied files"
_DEBIAN = ("apt ", "dpkg")
_LIBRARIES = "loader's cache"

Became = Literal["changed", "new", "gone"]


@frozen
class Changed:
    """One layer of the old image or of the new one; `configuration` stands for the settings."""

    layer: str
    became: Became
    cause: Cause


def explain(old: Image, new: Forecast) -> list[Changed]:
    """What a build that comes to `new` changes of `old`: its layers from the bottom, then settings.

    Raises:
        BuildError: `old` does not say what it was made from.
        IntegrityError: what it says does not read.
    """
    record = record_of(old)
    if record is None:
        raise BuildError(
            f"image {old.digest} does not say what it was made from",
            hint="name one that imagekit built",
        )
    comparison = _Comparison(old, new, Sides(record, new.record))
    return [*comparison.layers(), *comparison.gone(), *comparison.settings()]


class _Comparison:
    def __init__(self, old: Image, new: Forecast, sides: Sides) -> None:
        self._new = new
        self._sides = sides
        self._image = old
        entries = [
            entry.text("created_by", "")
            for entry in old.config.objects("history")
            if not entry.members.get("empty_layer")
        ]
        pairs = zip(entries, old.layers, strict=False)
        self._old = {
            created.removeprefix(_OURS): layer
            for created, layer in pairs
            if created.startswith(_OURS)
        }
        self._digests = {layer.digest for layer in old.layers}
        self._accounted: set[str] = set()

    def layers(self) -> Iterator[Changed]:
        for layer in self._new.layers:
            before = self._before(layer)
            if before is not None:
                self._accounted.add(before)
            if layer.layer is not None and layer.layer.digest in self._digests:
                self._accounted.add(layer.origin)
                continue
            cause = self._cause(layer, before)
            if cause is not None:
                yield Changed(layer.origin, "changed" if before else "new", cause)

    def gone(self) -> Iterator[Changed]:
        known = {layer.layer.digest for layer in self._new.layers if layer.layer is not None}
        for origin, layer in self._old.items():
            if origin not in self._accounted and layer.digest not in known:
                cause = self._cause_of_absence(origin)
                if cause is not None:
                    yield Changed(origin, "gone", cause)

    def settings(self) -> Iterator[Changed]:
        old = _settings(self._image.config.object("config").members)
        new = _settings(self._new.container)
        followed = {"entrypoint"} if self._sides.old.python != self._sides.new.python else set()
        for name in sorted({*old, *new} - followed):
            before, after = old.get(name), new.get(name)
            if before != after:
                became = "new" if before is None else "gone" if after is None else "changed"
                yield Changed("configuration", "changed", Cause("field", name, f"is {became}"))

    def _before(self, layer: ForecastLayer) -> str | None:
        """What stood for the layer in the old image, by its origin."""
        if layer.here == "base" or layer.origin in self._old:
            return layer.origin
        if isinstance(layer.step, InstallWheels):
            names = {wheel.name for wheel in layer.step.wheels}
            return next((each for each in self._old if names & _wheel_names(each)), None)
        first = layer.origin.partition(" ")[0]
        return next((each for each in self._old if each.partition(" ")[0] == first), None)

    def _cause(self, layer: ForecastLayer, before: str | None) -> Cause | None:
        """None for a layer that is not known yet and has no reason to differ."""
        cause = next(self._causes(layer, before), None)
        if cause is None and layer.layer is not None:
            return Cause("imagekit", "another version of imagekit makes it")
        return cause

    def _causes(self, layer: ForecastLayer, before: str | None) -> Iterator[Cause]:
        match layer.step:
            case None | StartFromDebian():
                yield from self._sides.of_base()
            case MakeEnvironment():
                yield from self._sides.of_environment()
            case AddUser():
                yield from self._sides.of_user()
            case InstallWheels(wheels):
                names = {wheel.name for wheel in wheels} | _wheel_names(before or "")
                yield from self._sides.of_wheels(frozenset(names))
            case InstallRuntime():
                yield from self._sides.of_runtime()
            case InstallDebian():
                yield from self._sides.of_debian()
            case ListLibraries(wheels):
                yield from self._sides.of_base()
                yield from self._sides.of_debian()
                yield from self._sides.of_wheels(frozenset(wheel.name for wheel in wheels))
            case RunCommands():
                yield from self._sides.of_base()
                yield Cause("field", "commands")
            case CopyFiles():
                yield from self._of_files(layer.step, before)
            case _:
                return

    def _cause_of_absence(self, origin: str) -> Cause | None:
        if origin.startswith(_SOURCE):
            asked = self._new.spec.source_root is not None
            return Cause("field", "source_copy_mode" if asked else "source_root")
        if origin.startswith(_COPIES):
            return Cause("field", "copy")
        if origin.startswith(_LIBRARIES):
            return Cause("field", "cuda")
        if origin.startswith(_DEBIAN):
            return next(self._sides.of_debian(), None)
        return next(self._sides.of_wheels(_wheel_names(origin)), None)

    def _of_files(self, step: CopyFiles, before: str | None) -> Iterator[Cause]:
        source = step.what.startswith(_SOURCE)
        field = "source_root" if source else "copy"
        if before is None or before != step.what:
            yield Cause("field", field)
            return
        workdir = step.workdir.strip("/")
        old_workdir = self._image.config.object("config").text("WorkingDir", "").strip("/")
        if workdir != old_workdir:
            yield Cause("field", "workdir", f"/{old_workdir} -> /{workdir}")
            return
        folder = step.what.removeprefix(_SOURCE) if source else ""
        old, new = _files(self._old[before], workdir), _nodes(step)
        changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
        for path in changed:
            more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
            shown = f"{folder}/{path}".removeprefix("./") if folder else path
            yield Cause("file", shown, _became(old.get(path), new.get(path)) + more)


_File = tuple[str, bool, str]
"""Kind, whether it is a program, and content or target."""


def _files(layer: Layer, workdir: str) -> dict[str, _File]:
    """What a layer of the user's files holds, folders excepted."""
    tree = FileTree()
    lay(tree, [layer])
    return {
        path.removeprefix(f"{workdir}/"): (
            entry.kind,
            entry.kind == "file" and bool(entry.mode & 0o111),
            entry.content,
        )
        for path, entry in tree.entries()
        if entry.kind != "directory"
    }


def _nodes(step: CopyFiles) -> dict[str, _File]:
    return {
        node.path: (node.kind, node.executable, node.target or node.sha256)
        for node in step.nodes
        if node.kind != "directory"
    }


def _became(old: _File | None, new: _File | None) -> str:
    if old is None or new is None:
        return "new" if old is None else "gone"
    if old[0] != new[0]:
        return f"a {old[0]} became a {new[0]}"
    return "mode" if old[2] == new[2] else "content"


def _wheel_names(origin: str) -> frozenset[str]:
    return frozenset(word.partition("==")[0] for word in origin.split() if "==" in word)


def _settings(container: Mapping[str, Any]) -> dict[str, Any]:
    """By the names of the spec's fields."""
    variables = dict(item.partition("=")[::2] for item in container.get("Env") or ())
    labels = container.get("Labels") or {}
    return {
        "user": container.get("User"),
        "workdir": container.get("WorkingDir"),
        "entrypoint": container.get("Entrypoint"),
        **{f"env.{name}": value for name, value in variables.items()},
        **{f"labels.{name}": value for name, value in labels.items()},
    }
