# SPDX-License-Identifier: Apache-2.0
"""A first spec for a project that has a pyproject.toml or a requirements.txt."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from imagekit.errors import Problem, SpecError
from imagekit.spec import requirements_file
from imagekit.spec.requirement import UnusableRequirementError
from imagekit.spec.source import requirement_name
from imagekit.values import frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LOCKS = ("uv.lock", "poetry.lock", "pylock.toml")
_PYTHONS = ("3.11", "3.13")
"""What the embedded base has."""


@frozen
class Start:
    """The members of a spec, and what of the project they leave out, each with a reason."""

    members: Mapping[str, Any]
    left_out: tuple[str, ...]

    def dumps(self) -> str:
        return yaml.safe_dump(dict(self.members), sort_keys=False, allow_unicode=True)


def start_from(folder: Path) -> Start:
    """What a spec in `folder` would say of the project there.

    Raises:
        SpecError: it has neither file, or one that does not read.
    """
    left_out: list[str] = []
    if (folder / "pyproject.toml").is_file():
        members = dict(_of_project(folder, left_out))
    elif (folder / "requirements.txt").is_file():
        name = folder.resolve().name
        members = {"name": _repository(name), **_of_requirements(folder, left_out)}
        members |= dict(_source(folder, name, left_out))
    else:
        problem = Problem("has no pyproject.toml and no requirements.txt")
        raise SpecError(str(folder), [problem])
    return Start(members, tuple(left_out))


def _of_project(folder: Path, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    document = _document(folder / "pyproject.toml")
    project = document.get("project", {})
    poetry = document.get("tool", {}).get("poetry", {})
    name = str(project.get("name") or poetry.get("name") or folder.resolve().name)
    yield "name", _repository(name)
    yield from _python(project.get("requires-python"), left_out)
    lock = next((each for each in _LOCKS if (folder / each).is_file()), None)
    if lock is not None:
        yield "requirements", lock
    elif "dependencies" in project:
        yield "packages", list(_usable(project["dependencies"], left_out))
    elif (folder / "requirements.txt").is_file():
        yield from _of_requirements(folder, left_out).items()
    else:
        hint = "; `poetry lock` makes one" if poetry else ""
        left_out.append(
            f"dependencies: pyproject.toml has no [project] with them, and no lock{hint}"
        )
    left_out += _not_taken(document, lock)
    yield from _source(folder, name, left_out)


def _of_requirements(folder: Path, left_out: list[str]) -> dict[str, Any]:
    path = folder / "requirements.txt"
    lines, wrong = requirements_file.read_usable(path)
    if not wrong:
        return {"requirements": path.name}
    left_out += wrong
    if hashed := [line.name for line in lines if line.sha256]:
        left_out.append(f"hashes of {', '.join(hashed)}: packages have none")
    return {"packages": [line.text for line in lines]}


def _usable(texts: list[str], left_out: list[str]) -> Iterator[str]:
    for text in texts:
        try:
            requirement_name(text)
        except UnusableRequirementError as error:
            left_out.append(f"packages: {error.message}")
        else:
            yield text


def _python(wanted: object, left_out: list[str]) -> Iterator[tuple[str, str]]:
    try:
        allowed = SpecifierSet(str(wanted or ""))
    except InvalidSpecifier:
        left_out.append(f"requires-python {wanted!r}: it does not read")
        return
    for version in _PYTHONS:
        if f"{version}.99" in allowed:
            yield "python_version", version
            return
    left_out.append(
        f"requires-python {wanted!r}: the embedded base has {' and '.join(_PYTHONS)}; name a "
        "base_image"
    )


def _not_taken(document: Mapping[str, Any], lock: str | None) -> Iterator[str]:
    project, tool = document.get("project", {}), document.get("tool", {})
    choose = "name them as {}" if lock else "add what you need to packages"
    if extras := sorted(project.get("optional-dependencies", {})):
        yield f"optional-dependencies {', '.join(extras)}: {choose.format('extras')}"
    if groups := sorted(document.get("dependency-groups", {})):
        yield f"dependency-groups {', '.join(groups)}: {choose.format('groups')}"
    if "dependencies" in project.get("dynamic", ()):
        yield "dependencies: they are dynamic, so only the build backend knows them"
    if lock is None and (sources := sorted(tool.get("uv", {}).get("sources", {}))):
        yield f"tool.uv.sources of {', '.join(sources)}: only uv.lock follows them"
    if scripts := sorted(project.get("scripts", {})):
        yield f"scripts {', '.join(scripts)}: the project is copied and not installed"


def _source(folder: Path, name: str, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    package = re.sub(r"[-.]+", "_", name)
    if (folder / "src").is_dir():
        yield "source_root", "src"
    elif (folder / package).is_dir():
        yield "copy", [package]
    else:
        left_out.append(f"source: there is no folder src or {package}; set source_root or copy")


def _repository(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "image"


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(str(path), [Problem(f"does not read: {error}")]) from error
