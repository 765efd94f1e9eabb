# SPDX-License-Identifier: Apache-2.0
"""`matrix`: one document that says many images.

Each axis is a field of the spec with the values that it takes; every combination is a cell.
`exclude` leaves out the cells that have all of an entry's values, `include` adds cells of its own.
A cell is the document with its values put in, so it is read and checked as if it had been written
out, and a mistake is found in the line where it stands.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

import yaml

from imagekit.errors import Problem
from imagekit.spec import nodes
from imagekit.spec.fields import FIELDS
from imagekit.values import frozen

MOST_CELLS = 1000
_OWN_KEYS = ("include", "exclude")
_SEQUENCE = "tag:yaml.org,2002:seq"
_MAPPING = "tag:yaml.org,2002:map"

_Values = Mapping[str, yaml.Node]


@frozen
class Cell:
    """One image of a document; `name` follows from the values, and is empty without a matrix."""

    name: str
    root: yaml.MappingNode


def cells(root: yaml.MappingNode, problems: list[Problem]) -> list[Cell]:
    """The images that a document says, in the order of its axes; mistakes become `problems`."""
    found = [(key, value) for key, value in root.value if _text(key) == "matrix"]
    if not found or nodes.is_null(found[0][1]):
        return [Cell("", root)]
    key, node = found[0]
    rest = yaml.MappingNode(root.tag, [e for e in root.value if e[0] is not key], root.start_mark)
    if not isinstance(node, yaml.MappingNode):
        problems.append(
            Problem(
                f"matrix: expected `field: [values]`, found {nodes.kind_of(node)}",
                nodes.line_of(node),
            )
        )
        return []
    chosen = _combinations(node, problems)
    made = [Cell(_name(values), _with(rest, values)) for values in chosen]
    _refuse_twins(made, nodes.line_of(key), problems)
    if not made and not problems:
        problems.append(Problem("matrix: no image is left", nodes.line_of(key)))
    return made


def _combinations(node: yaml.MappingNode, problems: list[Problem]) -> list[_Values]:
    axes: dict[str, Sequence[yaml.Node]] = {}
    own: dict[str, Sequence[yaml.MappingNode]] = {"include": (), "exclude": ()}
    for entry in nodes.entries(node, problems):
        if not isinstance(entry.value, yaml.SequenceNode) or not entry.value.value:
            hint = f"write {entry.key}: [...]"
            problems.append(Problem(f"matrix.{entry.key}: expected a list", entry.line, hint))
        elif entry.key in _OWN_KEYS:
            own[entry.key] = _entries(entry, problems)
        elif _is_axis(entry.key, entry.line, problems):
            axes[entry.key] = [each for each in entry.value.value if _is_flat(each, problems)]
    number = math.prod(len(values) for values in axes.values())
    if number > MOST_CELLS:
        message = f"matrix: {number} images; at most {MOST_CELLS}"
        problems.append(Problem(message, nodes.line_of(node)))
        return []
    excluded = [_values(each, problems, axes) for each in own["exclude"]]
    found: list[_Values] = []
    for combination in itertools.product(*axes.values()) if axes else ():
        cell = dict(zip(axes, combination, strict=True))
        if not any(_has(cell, wanted) for wanted in excluded):
            found.append(cell)
    return found + [_values(each, problems, FIELDS) for each in own["include"]]


def _entries(entry: nodes.Entry, problems: list[Problem]) -> list[yaml.MappingNode]:
    found = []
    for item in entry.value.value:
        if isinstance(item, yaml.MappingNode) and item.value:
            found.append(item)
        else:
            message = f"matrix.{entry.key}: expected `field: value`, found {nodes.kind_of(item)}"
            problems.append(Problem(message, nodes.line_of(item)))
    return found


def _values(
    node: yaml.MappingNode, problems: list[Problem], allowed: Mapping[str, object]
) -> _Values:
    values = {}
    for entry in nodes.entries(node, problems):
        if entry.key not in allowed or entry.key == "matrix":
            known = "an axis of this matrix" if allowed is not FIELDS else "a field of a spec"
            problems.append(Problem(f"matrix: {entry.key!r} is not {known}", entry.line))
        elif _is_flat(entry.value, problems):
            values[entry.key] = entry.value
    return values


def _is_flat(node: yaml.Node, problems: list[Problem]) -> bool:
    """Whether `node` is a text, or texts in one list or mapping, as the values of fields are."""
    if isinstance(node, yaml.MappingNode):
        inner = [part for entry in node.value for part in entry]
    else:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
    if all(isinstance(part, yaml.ScalarNode) for part in inner):
        return True
    problems.append(Problem("matrix: this value nests too deeply", nodes.line_of(node)))
    return False


def _is_axis(key: str, line: int, problems: list[Problem]) -> bool:
    if key in FIELDS and key != "matrix":
        return True
    hint = "axes are fields of the spec, beside them stand include and exclude"
    problems.append(Problem(f"matrix: {key!r} is not a field of a spec", line, hint))
    return False


def _has(values: _Values, wanted: _Values) -> bool:
    return bool(wanted) and all(
        key in values and _plain(values[key]) == _plain(value) for key, value in wanted.items()
    )


def _with(root: yaml.MappingNode, values: _Values) -> yaml.MappingNode:
    """The document with `values` put in: lists and mappings are added to, all else replaced."""
    own = {_text(key): (key, value) for key, value in root.value}
    entries = [(key, value) for key, value in root.value if _text(key) not in values]
    for field, node in values.items():
        key, before = own.get(field, (yaml.ScalarNode(nodes.TEXT, field, node.start_mark), None))
        entries.append((key, _merged(field, before, node)))
    return yaml.MappingNode(root.tag, entries, root.start_mark)


def _merged(field: str, before: yaml.Node | None, node: yaml.Node) -> yaml.Node:
    kind = FIELDS[field].kind
    if kind == "texts":
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if isinstance(before, yaml.SequenceNode):
            items = [*before.value, *items]
        return yaml.SequenceNode(_SEQUENCE, items, node.start_mark)
    if kind == "mapping" and isinstance(node, yaml.MappingNode):
        replaced = {_text(key) for key, _ in node.value}
        kept = before.value if isinstance(before, yaml.MappingNode) else []
        entries = [each for each in kept if _text(each[0]) not in replaced]
        return yaml.MappingNode(_MAPPING, [*entries, *node.value], node.start_mark)
    return node


def _refuse_twins(made: Sequence[Cell], line: int, problems: list[Problem]) -> None:
    names = [cell.name for cell in made]
    problems += [
        Problem(f"matrix: two images would both be called {name!r}", line)
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _name(values: _Values) -> str:
    """Such as `3.11-pandera+duckdb`: fit for file names and job names."""
    return "-".join(_label(node) for node in values.values())


def _label(node: yaml.Node) -> str:
    text = "+".join(_leaves(node)) or "none"
    return re.sub(r"[^A-Za-z0-9._+]+", "_", text).strip("_") or "none"


def _leaves(node: yaml.Node) -> Iterator[str]:
    if isinstance(node, yaml.ScalarNode):
        yield str(node.value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _leaves(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield "_".join([*_leaves(key), *_leaves(value)])


def _plain(node: yaml.Node) -> object:
    """For comparing: the texts of a node, in their structure."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {_text(key): _plain(value) for key, value in node.value}
    return node.value


def _text(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
