# SPDX-License-Identifier: Apache-2.0
"""Why a layer is another one: the one field, lock line or file that changed it.

A layer may have several reasons to change. The one that comes first here is the one that changed
it whatever the others are: a field before a line of the lock, and a line before imagekit itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from imagekit.builders.record import Record
from imagekit.values import frozen

Kind = Literal["field", "lock", "file", "imagekit"]


@frozen
class Cause:
    """`name` is the field's, the package's or the file's; `detail` says what became of it."""

    kind: Kind
    name: str
    detail: str = ""

    def __str__(self) -> str:
        said = {"field": "field ", "lock": "lock line ", "file": "file ", "imagekit": ""}
        return f"{said[self.kind]}{self.name}" + (f": {self.detail}" if self.detail else "")


@frozen
class Sides:
    """What the two images were made from."""

    old: Record
    new: Record

    def of_base(self) -> Iterator[Cause]:
        yield from self._of_python_field()
        yield from self._of_base_field()
        yield from self._of_bytecode()
        yield from _lines(_debs(self.old.base), _debs(self.new.base))

    def of_environment(self) -> Iterator[Cause]:
        yield from self._of_python_field()
        yield from self._of_base_field()
        yield from self._of_interpreter()

    def of_user(self) -> Iterator[Cause]:
        yield from self._of_base_field()

    def of_wheels(self, names: frozenset[str]) -> Iterator[Cause]:
        """Of a layer that held or holds the wheels `names`."""
        old, new = (_only(side.wheels, names) for side in (self.old, self.new))
        if old and new:
            yield from self._of_compiled()
        yield from _lines(old, new)
        yield from self._of_interpreter()

    def of_runtime(self) -> Iterator[Cause]:
        yield from self._of_compiled()
        old, new = self.old.runtime, self.new.runtime
        if old != new:
            yield Cause("lock", "runtime", _became(old, new))
        flytekit = frozenset({"flytekit"})
        yield from _lines(_only(self.old.wheels, flytekit), _only(self.new.wheels, flytekit))
        yield from self._of_interpreter()

    def of_debian(self) -> Iterator[Cause]:
        """Of the layers of `apt_packages`."""
        yield from self._of_base_field()
        yield from _lines(_debs(self.old.apt or {}), _debs(self.new.apt or {}))

    def _of_compiled(self) -> Iterator[Cause]:
        yield from self._of_python_field()
        yield from self._of_bytecode()

    def _of_python_field(self) -> Iterator[Cause]:
        old, new = self.old.python_minor, self.new.python_minor
        if old != new:
            yield Cause("field", "python_version", _became(old, new))

    def _of_base_field(self) -> Iterator[Cause]:
        old, new = _base_name(self.old.base), _base_name(self.new.base)
        if old != new:
            yield Cause("field", "base_image", _became(old, new))

    def _of_bytecode(self) -> Iterator[Cause]:
        old, new = self.old.bytecode, self.new.bytecode
        if old != new:
            yield Cause("field", "compile_bytecode", _became(str(old).lower(), str(new).lower()))

    def _of_interpreter(self) -> Iterator[Cause]:
        """The base's interpreter, which bytecode and the environment follow."""
        yield from self._of_base_field()
        old, new = (_pythons(side.base) for side in (self.old, self.new))
        yield from _lines(old, new)


def _lines(
    old: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]
) -> Iterator[Cause]:
    """What became of each line; of a line that stays with another file, its new digest."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before and after and before[0] == after[0]:
            yield Cause("lock", name, f"{after[0]}, another file: sha256 {after[1][:12]}")
        else:
            yield Cause("lock", name, _became(before and before[0], after and after[0]))


def _became(old: str | None, new: str | None) -> str:
    if old is None:
        return f"{new} is new"
    return f"{old} is gone" if new is None else f"{old} -> {new}"


def _base_name(base: Mapping[str, Any]) -> str:
    """A release of Debian, or the digest of an image."""
    return str(base.get("release", "")) or str(base.get("digest", ""))


def _debs(section: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    packages = section.get("packages", ())
    return {each["name"]: (each["version"], each["sha256"]) for each in packages}


def _pythons(base: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {name: line for name, line in _debs(base).items() if "python" in name}


def _only(
    wheels: Mapping[str, tuple[str, str]], names: frozenset[str]
) -> dict[str, tuple[str, str]]:
    return {name: wheel for name, wheel in wheels.items() if name in names}
