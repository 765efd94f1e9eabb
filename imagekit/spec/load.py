# SPDX-License-Identifier: Apache-2.0
"""From a spec.yaml to an ImageSpec, or to every problem of the file at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from imagekit.errors import Problem, SpecError
from imagekit.spec import nodes
from imagekit.spec.address import join, split
from imagekit.spec.builder_rules import TLS_FILES
from imagekit.spec.fields import FIELDS, SpecField
from imagekit.spec.finding import Finding
from imagekit.spec.matrix import cells
from imagekit.spec.model import ImageSpec
from imagekit.spec.nodes import Entry, NodeError
from imagekit.spec.parent import names_spec
from imagekit.spec.plain import plain
from imagekit.spec.rules import check, not_supported, only_in_python

_REGISTRY = "IMAGEKIT_REGISTRY"
"""Where images go whose specs name no registry."""

Lines = dict[tuple[str, str | None], int]
"""Line of each field, and of each list item or mapping key in it."""


def load_spec(address: Path) -> ImageSpec:
    """Read the spec at `address`; the paths in it are relative to its folder and must exist.

    Raises:
        SpecError: lists everything that is wrong, each with its line.
    """
    path, name = split(address)
    return _one(_specs(path), path, name)


def load_specs(address: Path) -> dict[Path, ImageSpec]:
    """The spec at `address`, or each that the matrix of the file there says, by its own address.

    Raises:
        SpecError: lists everything that is wrong in any of them.
    """
    path, name = split(address)
    if name:
        return {address: load_spec(address)}
    return {join(path, name): spec for name, spec in _specs(path).items()}


def parse_spec(text: str, *, source: str, folder: Path) -> ImageSpec:
    """The spec that `text` says, which has no matrix.

    `source` names it in errors, `folder` is what paths start from.

    Raises:
        SpecError: lists everything that is wrong, each with its line.
    """
    return _one(_parse(text, source=source, folder=folder), Path(source), "")


def _specs(path: Path) -> dict[str, ImageSpec]:
    """By name within the file; the empty name is the only one's."""
    if path.suffix != ".py":
        return _parse(_read(path), source=str(path), folder=path.parent)
    from imagekit.spec.module import module_specs  # noqa: PLC0415 - most specs are YAML

    specs = module_specs(path)
    for name, spec in specs.items():
        check_spec(spec, path.parent, source=str(join(path, name)))
    return {name: _complete(spec) for name, spec in specs.items()}


def _one(specs: Mapping[str, ImageSpec], path: Path, name: str) -> ImageSpec:
    if not name and len(specs) == 1:
        return next(iter(specs.values()))
    if name in specs:
        return specs[name]
    names = ", ".join(str(join(path, known)) for known in [*specs][:20])
    message = f"says no image {name!r}" if name else "says several images"
    raise SpecError(str(path), [Problem(message, None, f"it says {names}")])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(str(path), [Problem(f"can't be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SpecError(str(path), [Problem("is not UTF-8 text", line)]) from error


def _parse(text: str, *, source: str, folder: Path) -> dict[str, ImageSpec]:
    """By name within the file: the cells of its matrix, or the empty name alone."""
    problems: list[Problem] = []
    specs = {}
    try:
        for cell in cells(nodes.parse(text), problems):
            reader = _Reader()
            spec = ImageSpec(**reader.read(cell.root))
            findings = [*_findings(spec, folder), *only_in_python(spec)]
            problems += reader.problems + [reader.locate(each) for each in findings]
            specs[cell.name] = spec
    except NodeError as error:
        raise SpecError(source, [error.problem]) from error
    if problems:
        unique = dict.fromkeys(problems)
        raise SpecError(source, sorted(unique, key=lambda problem: problem.line or 0))
    return {name: _complete(spec) for name, spec in specs.items()}


def _complete(spec: ImageSpec) -> ImageSpec:
    registry = os.environ.get(_REGISTRY)
    if registry and spec.registry is None:
        spec = replace(spec, registry=registry)
    if not spec.plugins and spec.cuda is None:
        return spec
    from imagekit.spec.complete import completed  # noqa: PLC0415 - most specs are complete

    return completed(spec)


def check_spec(spec: ImageSpec, folder: Path, *, source: str = "ImageSpec") -> None:
    """Check a spec that was written in Python as a file would be.

    Raises:
        SpecError: lists everything that is wrong.
    """
    findings = _findings(spec, folder)
    if findings:
        raise SpecError(source, [Problem(each.message, None, each.hint) for each in findings])


def found_later(address: Path, findings: Sequence[Finding]) -> SpecError:
    """The error of what is wrong with a spec but shows only in its use, with lines as always."""
    path, name = split(address)
    reader = _Reader()
    if path.is_file() and path.suffix != ".py":
        found = {cell.name: cell for cell in cells(nodes.parse(_read(path)), [])}
        cell = found.get(name) or next(iter(found.values()))
        reader.read(cell.root)
    problems = [reader.locate(each) for each in findings]
    return SpecError(str(path), sorted(problems, key=lambda problem: problem.line or 0))


def _findings(spec: ImageSpec, folder: Path) -> list[Finding]:
    findings = check(spec)
    known = {(each.field, each.item) for each in findings}
    missing = [*_missing_paths(spec, folder), *_missing_certificates(spec, folder)]
    return findings + [each for each in missing if (each.field, each.item) not in known]


def _missing_paths(spec: ImageSpec, folder: Path) -> Iterator[Finding]:
    """What `spec` names and `folder` does not have."""
    base = spec.base_image
    if isinstance(base, str) and names_spec(base) and not os.path.isfile(split(folder / base)[0]):
        yield Finding("base_image", f"base_image: there is no spec {base!r}")
    if spec.requirements is not None and not os.path.isfile(folder / spec.requirements):
        yield Finding("requirements", f"requirements: there is no file {spec.requirements!r}")
    if spec.source_root is not None and not os.path.isdir(folder / spec.source_root):
        yield Finding("source_root", f"source_root: there is no folder {spec.source_root!r}")
    for text in spec.packages:
        path = _path_of(text)
        if path and not os.path.exists(folder / path):
            yield Finding("packages", f"packages: there is no {text!r}", item=text)
    for source, target in spec.pip_secret_mounts:
        if not os.path.isfile(folder / source):
            message = f"pip_secret_mounts: there is no file {source!r}"
            yield Finding("pip_secret_mounts", message, item=target)
    for text in spec.copy:
        if not os.path.exists(folder / text):
            yield Finding("copy", f"copy: there is no {text!r}", item=text)


def _missing_certificates(spec: ImageSpec, folder: Path) -> Iterator[Finding]:
    for name in TLS_FILES:
        file = spec.builder_options.get(name)
        if file and not os.path.isfile(folder / file):
            message = f"builder_options.{name}: there is no file {file!r}"
            yield Finding("builder_options", message, item=name)


def _path_of(requirement: str) -> str:
    """The path that it names; empty where it names none."""
    if plain(requirement) is not None:
        return ""
    # They load `packaging`, which most specs do without.
    from imagekit.spec.requirement import UnusableRequirementError  # noqa: PLC0415
    from imagekit.spec.source import local_path  # noqa: PLC0415

    try:
        return local_path(requirement)
    except UnusableRequirementError:
        return ""


class _Reader:
    """Collects values, lines and problems while it goes over a document once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._lines: Lines = {}

    def read(self, root: yaml.MappingNode) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for entry in nodes.entries(root, self.problems):
            field = FIELDS.get(entry.key)
            if field is None:
                self.problems.append(_unknown(entry))
                continue
            self._lines[entry.key, None] = entry.line
            if not field.works:
                self.problems.append(self.locate(not_supported(entry.key)))
            elif not nodes.is_null(entry.value):
                self._convert(field, entry.value, values)
        return values

    def locate(self, finding: Finding) -> Problem:
        line = self._lines.get((finding.field, finding.item))
        if line is None:
            line = self._lines.get((finding.field, None))
        return Problem(finding.message, line, finding.hint)

    def _convert(self, field: SpecField, node: yaml.Node, values: dict[str, Any]) -> None:
        try:
            values[field.name] = self._value(field, node)
        except NodeError as error:
            self.problems.append(error.problem)

    def _value(self, field: SpecField, node: yaml.Node) -> object:
        match field.kind:
            case "texts":
                return self._texts(field, node)
            case "joined" | "flag_or_texts" if isinstance(node, yaml.SequenceNode):
                return self._texts(field, node)
            case "pairs":
                return self._pairs(field, node)
            case "mapping":
                return self._mapping(field, node)
            case "flag" | "flag_or_texts":
                return self._flag(field, node)
            case _:
                return nodes.text_of(node, field.name)

    def _texts(self, field: SpecField, node: yaml.Node) -> list[str]:
        if not isinstance(node, yaml.SequenceNode):
            raise NodeError(
                Problem(
                    f"{field.name}: expected a list, found {nodes.kind_of(node)}",
                    nodes.line_of(node),
                    f"write {field.name}: [...]",
                )
            )
        texts: list[str] = []
        for number, item in enumerate(node.value, start=1):
            try:
                text = nodes.text_of(item, f"{field.name}, item {number}")
            except NodeError as error:
                self.problems.append(error.problem)
                continue
            self._lines.setdefault((field.name, text), nodes.line_of(item))
            texts.append(text)
        return texts

    def _pairs(self, field: SpecField, node: yaml.Node) -> list[list[str]]:
        if not isinstance(node, yaml.SequenceNode):
            message = f"{field.name}: expected a list, found {nodes.kind_of(node)}"
            raise NodeError(Problem(message, nodes.line_of(node), "write [[FILE, /PATH]]"))
        pairs = []
        for item in node.value:
            pair = self._texts(field, item)
            if len(pair) != 2:
                message = f"{field.name}: expected [FILE, /PATH], found {len(pair)} texts"
                raise NodeError(Problem(message, nodes.line_of(item)))
            pairs.append(pair)
        return pairs

    def _mapping(self, field: SpecField, node: yaml.Node) -> dict[str, str]:
        if not isinstance(node, yaml.MappingNode):
            raise NodeError(
                Problem(
                    f"{field.name}: expected `key: value`, found {nodes.kind_of(node)}",
                    nodes.line_of(node),
                )
            )
        mapping = {}
        for entry in nodes.entries(node, self.problems):
            self._lines[field.name, entry.key] = entry.line
            try:
                mapping[entry.key] = nodes.text_of(entry.value, f"{field.name}.{entry.key}")
            except NodeError as error:
                self.problems.append(error.problem)
        return mapping

    def _flag(self, field: SpecField, node: yaml.Node) -> bool:
        text = nodes.text_of(node, field.name)
        if text not in ("true", "false"):
            names = " or a list" if field.kind == "flag_or_texts" else ""
            message = f"{field.name}: expected true or false{names}, found {text!r}"
            raise NodeError(Problem(message, nodes.line_of(node)))
        return text == "true"


def _unknown(entry: Entry) -> Problem:
    import difflib  # noqa: PLC0415 - keys are mostly spelled right

    near = difflib.get_close_matches(entry.key, FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/reference/spec.md lists all fields"
    return Problem(f"unknown key {entry.key!r}", entry.line, hint)
