# SPDX-License-Identifier: Apache-2.0
"""A comparison as plain data, and as a short text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from imagekit.compare.allowed import ENGINE, ENGINE_REASON, KINDS, FileDifference
from imagekit.compare.differences import Changed, Comparison
from imagekit.compare.tree import Entry

_SHOWN = 20
"""So many files are named; `--output json` has all."""


def as_data(comparison: Comparison, *, strict: bool) -> dict[str, Any]:
    """Everything; `reasons` says why each kind that was met is allowed."""
    allowed = comparison.allowed()
    return {
        "agree": comparison.agrees(strict=strict),
        "packages": [_changed(each) for each in comparison.packages],
        "files": [_file(each) for each in comparison.files],
        "settings": [_changed(each) for each in comparison.settings],
        "allowed": allowed,
        "reasons": {name: reason for name, reason in _reasons().items() if name in allowed},
    }


def as_text(comparison: Comparison, *, strict: bool) -> str:
    """What is not allowed, and how much was."""
    lines = [
        *_section("packages", [_change(each) for each in comparison.packages]),
        *_section("files", [_file_line(each) for each in _counted(comparison.files, strict)]),
        *_section("settings", [_change(each) for each in _counted(comparison.settings, strict)]),
    ]
    allowed = comparison.allowed()
    if allowed and not strict:
        lines.append("allowed between builders")
        lines += [f"  {count:>6}  {name}" for name, count in allowed.items()]
    agree = comparison.agrees(strict=strict)
    lines.append("the images agree" if agree else "the images differ")
    return "\n".join(lines) + "\n"


def _reasons() -> dict[str, str]:
    return {**{kind.name: kind.reason for kind in KINDS}, ENGINE: ENGINE_REASON}


def _counted(found: Sequence[Any], strict: bool) -> list[Any]:
    return [each for each in found if strict or each.allowed is None]


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"{title} ({len(lines)})"
    yield from (f"  {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"  and {len(lines) - _SHOWN} more"


def _change(change: Changed) -> str:
    return f"{change.name}: {_value(change.first)} -> {_value(change.second)}"


def _value(value: Any) -> str:
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."


def _file_line(difference: FileDifference) -> str:
    path = _value(difference.path)
    if difference.first is None:
        return f"+ {path}"
    if difference.second is None:
        return f"- {path}"
    first, second = difference.first, difference.second
    told = {
        "kind": f"{first.kind} -> {second.kind}",
        "mode": f"mode {first.mode:04o} -> {second.mode:04o}",
        "owner": f"owner {first.uid}:{first.gid} -> {second.uid}:{second.gid}",
    }
    return f"~ {path}: {', '.join(told.get(aspect, aspect) for aspect in difference.aspects)}"


def _changed(change: Changed) -> dict[str, Any]:
    found = {"name": change.name, "first": change.first, "second": change.second}
    return found if change.allowed is None else {**found, "allowed": change.allowed}


def _file(difference: FileDifference) -> dict[str, Any]:
    return {
        "path": difference.path,
        "aspects": list(difference.aspects),
        "first": _entry(difference.first),
        "second": _entry(difference.second),
        "allowed": difference.allowed,
    }


def _entry(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "kind": entry.kind,
        "mode": f"{entry.mode:04o}",
        "owner": f"{entry.uid}:{entry.gid}",
        "mtime": entry.mtime_seconds,
        "size_bytes": entry.size_bytes,
        "content": entry.content,
        "attributes": dict(entry.attributes),
    }
