# SPDX-License-Identifier: Apache-2.0
"""Reading requirements.txt as far as we have to: what it asks for, what it includes, its hashes.

uv resolves the file itself. We read it to refuse what an image can't hold with the line that says
it, to know all the files that a lock depends on, and to hold wheels to the hashes that are given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from imagekit.errors import Problem, SpecError
from imagekit.spec.requirement import UnusableRequirementError
from imagekit.spec.source import requirement_name
from imagekit.urls import masked
from imagekit.values import frozen

_COMMENT = re.compile(r"(^|\s)#.*$")
INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s+|=)?(\S.*)")
_HASH = re.compile(r"\s--hash[=\s]\s*(\w+):([0-9a-fA-F]+)")
_INDEX = re.compile(r"(?:-i|--index-url|--extra-index-url|-f|--find-links)(?:\s+|=)\S+")
_INERT = re.compile(r"--(?:prefer-binary|only-binary(?:\s+|=)\S+|require-hashes)$")


@frozen
class RequirementLine:
    """One requirement as a file holds it; `sha256` lists the hashes it allows, if it names any.

    `name` is empty for source that says none.
    """

    text: str
    name: str
    sha256: frozenset[str]


@frozen
class RequirementsFile:
    """A requirements.txt with everything that it includes.

    `contents` are the meaningful lines by path relative to the first file's folder.
    """

    requirements: tuple[RequirementLine, ...]
    contents: tuple[tuple[str, tuple[str, ...]], ...]


def read(path: Path) -> RequirementsFile:
    """Read `path` and what it includes.

    Raises:
        SpecError: lists every line that an image can't be built from.
    """
    reader = _Reader(path)
    reader.read(path)
    if reader.problems:
        raise SpecError(str(path), reader.problems)
    return RequirementsFile(tuple(reader.requirements), tuple(sorted(reader.contents.items())))


def read_usable(path: Path) -> tuple[tuple[RequirementLine, ...], tuple[str, ...]]:
    """The lines that an image can be built from, and what is wrong with or said beside them.

    Raises SpecError where the file can't be read.
    """
    reader = _Reader(path)
    reader.read(path)
    if not reader.contents:
        raise SpecError(str(path), reader.problems)
    if not reader.problems:
        return tuple(reader.requirements), ()
    wrong = (f"{_place(path, each)}: {each.message}" for each in reader.problems)
    beside = (f"{path.name}: {masked(option)!r}" for option in reader.options)
    return tuple(reader.requirements), (*wrong, *beside)


def _place(path: Path, problem: Problem) -> str:
    return path.name if problem.line is None else f"{path.name}, line {problem.line}"


class _Reader:
    def __init__(self, first: Path) -> None:
        self._root = first.parent
        self._first = first
        self.requirements: list[RequirementLine] = []
        self.contents: dict[str, tuple[str, ...]] = {}
        self.problems: list[Problem] = []
        self.options: list[str] = []

    def read(self, path: Path, *, constraint: bool = False, line: int | None = None) -> None:
        name = _relative(path, self._root)
        if name in self.contents:
            return
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self.problems.append(Problem(f"{name} can't be read: {reason}", line))
            return
        lines = tuple(_logical_lines(text))
        self.contents[name] = tuple(content for _, content in lines)
        for number, content in lines:
            self._take(path, number, content, constraint=constraint)

    def _take(self, path: Path, number: int, content: str, *, constraint: bool) -> None:
        include = INCLUDE.fullmatch(content)
        if include:
            is_constraint = constraint or content.startswith(("-c", "--constraint"))
            if is_constraint:
                self.options.append(content)
            self.read(path.parent / include[1].strip(), constraint=is_constraint, line=number)
            return
        if _INDEX.fullmatch(content):
            self.options.append(content)
            return
        if _INERT.fullmatch(content):
            return
        try:
            requirement = _requirement(content)
        except UnusableRequirementError as error:
            self.problems.append(self._problem(path, number, error))
            return
        if not constraint or requirement.sha256:
            self.requirements.append(requirement)

    def _problem(self, path: Path, number: int, error: UnusableRequirementError) -> Problem:
        if path == self._first:
            return Problem(error.message, number, error.hint)
        where = f"{_relative(path, self._root)}, line {number}"
        return Problem(f"{where}: {error.message}", None, error.hint)


def _requirement(content: str) -> RequirementLine:
    if content.startswith(("-e", "--editable")):
        raise UnusableRequirementError(
            f"{masked(content)!r}: editable installs don't fit into an image",
            "leave `-e` out to have it built, or use source_root",
        )
    if content.startswith("-"):
        raise UnusableRequirementError(f"{masked(content)!r} is not supported yet")
    hashes = _HASH.findall(content)
    text = without_hashes(content)
    if hashes and not any(kind == "sha256" for kind, _ in hashes):
        raise UnusableRequirementError(
            f"{masked(text)!r}: of its hashes none is a sha256, which an image is held to",
            "`uv pip compile --generate-hashes` writes those",
        )
    return RequirementLine(
        text=text,
        name=requirement_name(text),
        sha256=frozenset(value.lower() for kind, value in hashes if kind == "sha256"),
    )


def without_hashes(line: str) -> str:
    """The requirement alone."""
    return _HASH.sub("", line).strip()


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their number, continuations joined, comments and blanks left out."""
    pending = ""
    first = 1
    for number, raw in enumerate(text.splitlines(), start=1):
        if not pending:
            first = number
        if raw.endswith("\\"):
            pending += raw[:-1] + " "
            continue
        content = _COMMENT.sub("", pending + raw).strip()
        pending = ""
        if content:
            yield first, content
    if pending.strip():
        yield first, pending.strip()


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
