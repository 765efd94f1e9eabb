# SPDX-License-Identifier: Apache-2.0
"""YAML as plain texts, lists and mappings that know their lines.

Scalars keep the text that was written: YAML would read `3.10` as the number 3.1. Aliases share
their node and nothing here nests deeper than a field's value, so a file can't blow up.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from imagekit.errors import Problem
from imagekit.values import frozen

_PREFIX = "tag:yaml.org,2002:"
_SCALARS = frozenset(_PREFIX + name for name in ("str", "int", "float", "bool", "timestamp"))
TEXT = _PREFIX + "str"
_NULL = _PREFIX + "null"
_LARGEST_CHARACTERS = 1_000_000


class NodeError(ValueError):
    """A node that is not what its place asks for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@frozen
class Entry:
    """One key of a mapping, the line of the key, and the node of its value."""

    key: str
    line: int
    value: yaml.Node


def parse(text: str) -> yaml.MappingNode:
    """The one document in `text`.

    Raises:
        NodeError: it is not YAML, not one document, or not a mapping.
    """
    if len(text) > _LARGEST_CHARACTERS:
        raise NodeError(Problem(f"longer than {_LARGEST_CHARACTERS} characters: this is no spec"))
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        context = "" if error.context is None else f"{error.context}, "
        raise NodeError(Problem(f"not YAML: {context}{error.problem}", line)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not YAML: the character {text[error.position]!r} is not allowed"
        raise NodeError(Problem(message, line)) from error
    except RecursionError as error:
        raise NodeError(Problem("not a spec: it nests too deeply")) from error
    if len(documents) > 1:
        raise NodeError(
            Problem(
                "more than one document",
                line_of(documents[1]),
                "write one file per image",
            )
        )
    if not documents or documents[0] is None:
        raise NodeError(Problem("the file is empty", hint="name: IMAGE is enough to begin"))
    root = documents[0]
    if not isinstance(root, yaml.MappingNode):
        raise NodeError(Problem(f"expected `key: value`, found {kind_of(root)}", line_of(root)))
    return root


def entries(node: yaml.MappingNode, problems: list[Problem]) -> Iterator[Entry]:
    """The keys of `node` in order; what is no text or comes twice becomes a problem."""
    seen: dict[str, int] = {}
    for key_node, value in node.value:
        line = line_of(key_node)
        if key_node.tag == _PREFIX + "merge":
            problems.append(Problem("merge keys (<<) are not supported", line, "repeat the keys"))
            continue
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _SCALARS:
            problems.append(Problem(f"a key must be text, found {kind_of(key_node)}", line))
            continue
        key = key_node.value
        if key in seen:
            problems.append(Problem(f"{key} stands twice, first in line {seen[key]}", line))
            continue
        seen[key] = line
        yield Entry(key, line, value)


def text_of(node: yaml.Node, what: str) -> str:
    """The text of a scalar as it was written.

    Raises:
        NodeError: it is a list, a mapping, empty, or has a tag of its own.
    """
    if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
        return str(node.value)
    hint = 'write "" for the empty text' if node.tag == _NULL else None
    raise NodeError(Problem(f"{what}: expected text, found {kind_of(node)}", line_of(node), hint))


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def kind_of(node: yaml.Node) -> str:
    """The node as a person would call it."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if node.tag == _NULL:
        return "nothing"
    if node.tag not in _SCALARS:
        return f"the tag {node.tag.replace(_PREFIX, '!!')}"
    return f"the text {node.value!r}"
