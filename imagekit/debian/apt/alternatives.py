# SPDX-License-Identifier: Apache-2.0
"""What `update-alternatives --install` of maintainer scripts comes to (update-alternatives(1))."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imagekit.errors import BuildError
from imagekit.values import frozen

FOLDER = "var/lib/dpkg/alternatives"
_LINKS = "etc/alternatives"
_PROGRAM = "update-alternatives"


@frozen
class Alternative:
    """One choice for the path `link`, known as `name`; `slaves` are (link, path) by their names."""

    link: str
    name: str
    path: str
    priority: int
    slaves: Mapping[str, tuple[str, str]]


def parse(line: str) -> tuple[Alternative, ...] | None:
    """What a line of a script installs, nothing for one that removes; None where it is another."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    if words[-2:] == ["||", "true"]:
        words = words[:-2]
    words = [word for word in words if word not in ("--quiet", ">/dev/null")]
    if words[:1] != [_PROGRAM] or any(set("$`|&;<>*?") & set(word) for word in words):
        return None
    match words[1:]:
        case ["--remove", _, _]:
            return ()
        case ["--install", link, name, path, priority, *rest] if priority.isdecimal():
            slaves = _slaves(rest)
            if slaves is not None:
                return (Alternative(link, name, path, int(priority), slaves),)
    return None


def _slaves(words: Sequence[str]) -> Mapping[str, tuple[str, str]] | None:
    groups = [words[start : start + 4] for start in range(0, len(words), 4)]
    if any(len(each) != 4 or each[0] != "--slave" for each in groups):
        return None
    return {name: (link, path) for _, link, name, path in groups}


@dataclass(slots=True)
class _Group:
    """All choices for one link, as dpkg's file of it says."""

    link: str
    automatic: bool = True
    slave_links: dict[str, str] = field(default_factory=dict)
    choices: dict[str, Alternative] = field(default_factory=dict)

    def add(self, choice: Alternative) -> None:
        self.link = choice.link
        self.slave_links.update({name: link for name, (link, _) in choice.slaves.items()})
        self.choices[choice.path] = choice

    def best(self) -> Alternative:
        return max(self.choices.values(), key=lambda each: each.priority)

    def text(self) -> str:
        lines = ["auto" if self.automatic else "manual", self.link]
        for name in sorted(self.slave_links):
            lines += [name, self.slave_links[name]]
        lines.append("")
        for path in sorted(self.choices):
            choice = self.choices[path]
            lines += [path, str(choice.priority)]
            lines += [choice.slaves.get(name, ("", ""))[1] for name in sorted(self.slave_links)]
        return "\n".join([*lines, "", ""])


def installed(
    wanted: Sequence[Alternative], read: Callable[[str], str], exists: Callable[[str], bool]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Files and links that `wanted` comes to, by path.

    Args:
        wanted: in the order in which they are installed.
        read: a text of the base; empty where there is none.
        exists: whether an absolute path is there, links followed.
    """
    groups: dict[str, _Group] = {}
    for each in wanted:
        if each.name not in groups:
            groups[each.name] = _read(read(f"{FOLDER}/{each.name}"), each)
        groups[each.name].add(each)
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for name, group in sorted(groups.items()):
        files[f"{FOLDER}/{name}"] = group.text().encode()
        if group.automatic:
            links.update(_linked(name, group.best(), exists))
    return files, links


def _linked(
    name: str, choice: Alternative, exists: Callable[[str], bool]
) -> Iterator[tuple[str, str]]:
    yield from _two(name, choice.link, choice.path)
    for slave, (link, path) in sorted(choice.slaves.items()):
        # What is not there, as manuals in slim bases, gets no link.
        if exists(path):
            yield from _two(slave, link, path)


def _two(name: str, link: str, path: str) -> Iterator[tuple[str, str]]:
    yield link.lstrip("/"), f"/{_LINKS}/{name}"
    yield f"{_LINKS}/{name}", path


def _read(text: str, wanted: Alternative) -> _Group:
    group = _Group(wanted.link)
    if not text:
        return group
    try:
        lines = iter(text.splitlines())
        group.automatic = next(lines) == "auto"
        group.link = next(lines)
        while name := next(lines):
            group.slave_links[name] = next(lines)
        while path := next(lines, ""):
            priority = int(next(lines))
            slaves = {name: (link, next(lines)) for name, link in group.slave_links.items()}
            given = {name: slave for name, slave in slaves.items() if slave[1]}
            group.choices[path] = Alternative(group.link, wanted.name, path, priority, given)
    except (StopIteration, ValueError) as error:
        raise BuildError(f"the base's alternatives for {wanted.name} do not read") from error
    return group
