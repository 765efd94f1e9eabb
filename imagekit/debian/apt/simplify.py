# SPDX-License-Identifier: Apache-2.0
"""What of a maintainer script is left at a first installation, where no init system runs.

Scripts are called as `preinst install` and `postinst configure ""` then (Debian Policy 6.5), so
many of their conditions are known. Only the common forms of `if` and `case` over whole lines are
understood; anything else is left as it stands, which means that it has to run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_ARGUMENTS_MOVE = re.compile(r"\b(?:shift|set\s+--|getopts)\b|<<")
_FUNCTION = re.compile(r"(?:function\s+)?(?P<name>[\w-]+)\s*\(\)\s*\{?")
_CASE = re.compile(r'case\s+"?\$\{?1\}?"?\s+in')
_PATTERNS = re.compile(r"\(?(?P<names>[\w*?| -]+)\)(?P<rest>.*)")
_UNSET = {"2": "", "DPKG_ROOT": ""}
_TRUE_OF_NO_VERSION = frozenset({"lt", "le", "ne", "ge-nl", "gt-nl"})
_FALSE_OF_NO_VERSION = frozenset({"gt", "ge", "eq", "lt-nl", "le-nl"})
_TESTS = ("[ ", "test ", "dpkg --compare-versions ", "which ", "command -v ")
_LOOPS = frozenset({"for", "while", "until"})
_RUNNING = ("/run/systemd/system", "/run/systemd/system/")
"""There while systemd runs the machine, so never in an image that is being built."""


class _StrangeError(Exception):
    """The script has a form that is not understood."""


def left_at_first(script: str, action: str) -> list[str]:
    """The lines that might do something when `script` is called with `action`, in their order."""
    lines = [*_lines(script)]
    if any(_ARGUMENTS_MOVE.search(line) for line in lines):
        return lines
    try:
        found = _Block(lines, action).rest()
    except _StrangeError:
        return lines
    return [*_without_unused_functions(found)]


def _lines(script: str) -> Iterator[str]:
    """Whole commands on one line each, without comments; `then` and `do` on lines of their own."""
    joined = re.sub(r"(&&|\|\|)[ \t]*\n", r"\1 ", script.replace("\\\n", " "))
    for line in joined.splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        head, separator, word = text.rpartition(";")
        if separator and word.strip() in ("then", "do") and text.startswith(("if ", "elif ")):
            yield head.strip()
            yield word.strip()
        else:
            yield text


@dataclass(slots=True)
class _Block:
    """Reads lines from the first to the last, leaving out what is known not to run."""

    lines: Sequence[str]
    action: str
    at: int = 0

    def rest(self) -> list[str]:
        found = self.until()
        if self.at < len(self.lines):
            raise _StrangeError
        return found

    def until(self, *ends: str) -> list[str]:
        """What is left up to a line that starts with one of `ends`, which comes next then."""
        found: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            word = line.split()[0].rstrip(";")
            if word in ends or (";;" in ends and line.endswith(";;")):
                return found
            found += self._statement(line, word)
        if ends:
            raise _StrangeError
        return found

    def _statement(self, line: str, word: str) -> list[str]:
        self.at += 1
        if word == "if":
            return self._if(line) if "; fi" not in line else [line]
        if _CASE.fullmatch(line):
            return self._case()
        if _FUNCTION.fullmatch(line):
            return self._function(line)
        if word in _LOOPS or word in ("case", "{", "("):
            return self._whole(line, word)
        return [line]

    def _if(self, line: str) -> list[str]:
        known = _truth(line.removeprefix("if").strip(), self.action)
        if self._next() != "then":
            raise _StrangeError
        inside = self.until("else", "elif", "fi")
        end = self._next()
        if end.startswith("elif"):
            raise _StrangeError
        otherwise = []
        if end == "else":
            otherwise = self.until("fi")
            end = self._next()
        if end.rstrip(";") != "fi":
            raise _StrangeError
        if known is not None:
            return inside if known else otherwise
        nothing = not [*something(inside), *something(otherwise)]
        if nothing and _only_tests(line.removeprefix("if").strip()):
            return []
        return [line, "then", *inside, "else", *otherwise, "fi"]

    def _case(self) -> list[str]:
        """Of `case "$1"` the branch for the action."""
        taken: list[str] | None = None
        while (line := self._next()) != "esac":
            matched = _PATTERNS.fullmatch(line)
            if matched is None:
                raise _StrangeError
            rest = matched["rest"].strip()
            one_line = rest.endswith(";;")
            body = [rest.removesuffix(";;").strip()] if one_line else self._branch(rest)
            names = {name.strip() for name in matched["names"].split("|")}
            if taken is None and ({self.action, "*"} & names):
                taken = [each for each in body if each]
            elif any("*" in name or "?" in name for name in names - {"*"}):
                raise _StrangeError
        return taken or []

    def _branch(self, first: str) -> list[str]:
        found = [first] if first else []
        found += self.until(";;", "esac")
        if not self.lines[self.at].startswith("esac"):
            found.append(self._next().removesuffix(";;").strip())
        return found

    def _function(self, line: str) -> list[str]:
        """A function's own arguments are others, so nothing in it is known."""
        found = [line]
        while (inner := self._next()) != "}":
            found.append(inner)
        return [*found, "}"]

    def _whole(self, line: str, word: str) -> list[str]:
        end = {"case": "esac", "{": "}", "(": ")"}.get(word, "done")
        if line.rpartition(" ")[2].rstrip(";") == end:
            return [line]
        starts = _LOOPS if end == "done" else {word}
        found, depth = [line], 1
        while depth:
            inner = self._next()
            found.append(inner)
            depth += inner.split()[0] in starts
            depth -= inner.split()[0].rstrip(";") == end
        return found

    def _next(self) -> str:
        if self.at == len(self.lines):
            raise _StrangeError
        self.at += 1
        return self.lines[self.at - 1]


_NOTHING = re.compile(
    r"""(?:set\ [-+][eux]+|exit\ 0|:|true
    |[A-Za-z_]\w*=(?:"[^"`$]*"|'[^']*'|[^\s`$;"'&|]*))?;?\s*""",
    re.VERBOSE,
)


def something(lines: Sequence[str]) -> Iterator[str]:
    """The lines that are not plainly without effect."""
    return (line for line in lines if not _NOTHING.fullmatch(line))


def _without_unused_functions(lines: Sequence[str]) -> Iterator[str]:
    functions: dict[str, list[str]] = {}
    rest: list[str] = []
    pending = iter(lines)
    for line in pending:
        matched = _FUNCTION.fullmatch(line)
        if matched is None:
            rest.append(line)
            continue
        body = functions.setdefault(matched["name"], [])
        body.append(line)
        for inner in pending:
            body.append(inner)
            if inner == "}":
                break
    for name, body in functions.items():
        elsewhere = [
            *rest,
            *(x for other, each in functions.items() if other != name for x in each),
        ]
        if any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", line) for line in elsewhere):
            yield from body
    yield from rest


def _truth(condition: str, action: str) -> bool | None:
    """What a condition comes to, or None where that is not known without running it."""
    parts = [*_parts(condition)]
    joints = {joint for joint, _ in parts[1:]}
    if len(joints) > 1:
        return None
    decisive = "||" in joints
    found = []
    for _, text in parts:
        found.append(_test(text, action))
        if joints and found[-1] is decisive:
            return decisive
        if found[-1] is None and not _only_tests(text):
            return None
    return None if None in found else found[-1]


def _parts(condition: str) -> Iterator[tuple[str, str]]:
    """The commands of a list, each with `&&` or `||` before it; the first with nothing."""
    pieces = re.split(r"\s*(&&|\|\|)\s*", condition)
    yield "", pieces[0]
    yield from zip(pieces[1::2], pieces[2::2], strict=True)


def _only_tests(condition: str) -> bool:
    """Whether asking changes nothing."""
    plain = not re.search(r"[`;]|\$\(", condition)
    return plain and all(
        text.removeprefix("! ").startswith(_TESTS) for _, text in _parts(condition)
    )


def _test(text: str, action: str) -> bool | None:
    negated = text.startswith("! ")
    known = _plain_test(text.removeprefix("! ").strip(), action)
    return known if known is None or not negated else not known


def _plain_test(text: str, action: str) -> bool | None:
    if re.search(r"[`]|\$\(", text):
        return None
    try:
        words = shlex.split(_expanded(text, action))
    except ValueError:
        return None
    if words[:2] == ["dpkg", "--compare-versions"]:
        return _compared(words[2:])
    if words[:1] == ["["] and words[-1:] == ["]"]:
        return _all_of(words[1:-1])
    return _all_of(words[1:]) if words[:1] == ["test"] else None


def _all_of(words: Sequence[str]) -> bool | None:
    """A test's expressions joined by `-a`."""
    if "-o" in words:
        return None
    found: list[bool | None] = []
    part: list[str] = []
    for word in (*words, "-a"):
        if word == "-a":
            found.append(_expression(part))
            part = []
        else:
            part.append(word)
    if False in found:
        return False
    return None if None in found else True


def _expression(words: Sequence[str]) -> bool | None:
    match [*words]:
        case ["-n" | "-z" as operator, word] if "$" not in word:
            return bool(word) == (operator == "-n")
        case ["-d" | "-e", path] if path in _RUNNING:
            return False
        case [one, "=" | "==" | "!=" as operator, other] if "$" not in one + other:
            return (one == other) == (operator != "!=")
        case ["!", *rest]:
            known = _expression(rest)
            return None if known is None else not known
        case _:
            return None


def _compared(words: Sequence[str]) -> bool | None:
    """How no version at all compares (dpkg(1), `--compare-versions`)."""
    match [*words]:
        case ["", operator, version] if "$" not in version and version:
            if operator in _TRUE_OF_NO_VERSION:
                return True
            return False if operator in _FALSE_OF_NO_VERSION else None
        case _:
            return None


def _expanded(text: str, action: str) -> str:
    """With the variables that are known; a word that was not quoted and is empty stays a word."""
    values = {"1": action, **_UNSET}

    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return values.get(name, match[0])

    pattern = r"\$\{(?P<braced>1|2|DPKG_ROOT)(?::?-)?\}|\$(?P<plain>1|2|DPKG_ROOT)\b"
    found = re.sub(pattern, value, text)
    return re.sub(r"(?<=--compare-versions)\s{2,}", ' "" ', found)
