# SPDX-License-Identifier: Apache-2.0
"""The lines of a .gitignore, as gitignore(5) has them: on bytes, as git matches them.

`?` is one byte, and a bracket never matches a slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from imagekit.values import frozen

_CLASSES = {
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": b" \\t",
    b"cntrl": b"\\x00-\\x1f\\x7f",
    b"digit": b"0-9",
    b"graph": b"!-~",
    b"lower": b"a-z",
    b"print": b" -~",
    b"punct": b"!-/:-@\\[-`{-~",
    b"space": b" \\t-\\r",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}
_TOKEN = re.compile(
    rb"(?P<stars>\*+)|(?P<any>\?)|(?P<escaped>\\.)|(?P<bracket>\[)|(?P<byte>.)", re.DOTALL
)
_MEMBER = re.compile(rb"\[:(?P<name>[^\]:]*):\]|\\(?P<escaped>.)|(?P<byte>.)", re.DOTALL)
_SPECIAL = re.compile(rb"[*?\[\\]")
_NEVER = b"(?!)"


@frozen
class Pattern:
    """One line; `anywhere` looks at names alone, else at the path from the file's folder."""

    regex: re.Pattern[bytes]
    takes_back: bool
    folders_only: bool
    anywhere: bool


def parse(data: bytes) -> tuple[Pattern, ...]:
    """The patterns of a file, in their order."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    contents = (_without_blanks(line.removesuffix(b"\r")) for line in lines)
    return tuple(_pattern(each) for each in contents if each and not each.startswith(b"#"))


def verdict(patterns: Iterable[Pattern], path: bytes, *, is_folder: bool) -> bool | None:
    """Whether the last pattern that matches leaves `path` out; None where none does."""
    found = None
    for pattern in patterns:
        if pattern.folders_only and not is_folder:
            continue
        text = path.rpartition(b"/")[2] if pattern.anywhere else path
        if pattern.regex.fullmatch(text):
            found = not pattern.takes_back
    return found


def _without_blanks(line: bytes) -> bytes:
    """Without blanks at the end, but for one that a backslash stands before."""
    end = index = 0
    while index < len(line):
        index += 2 if line[index : index + 1] == b"\\" else 1
        if line[index - 1 : index] != b" " or line[index - 2 : index - 1] == b"\\":
            end = index
    return line[:end]


def _pattern(line: bytes) -> Pattern:
    takes_back = line.startswith(b"!")
    text = line[1:] if takes_back else line
    folders_only = text.endswith(b"/")
    text = text[:-1] if folders_only else text
    anywhere = b"/" not in text
    regex = re.compile(_regex(text.removeprefix(b"/")), re.DOTALL)
    return Pattern(regex, takes_back, folders_only, anywhere)


def _regex(text: bytes) -> bytes:
    parts, index = [], 0
    while index < len(text):
        token = _TOKEN.match(text, index)
        if token is None or (token["byte"] == b"\\"):
            return _NEVER  # a backslash at the end
        start, index = index, token.end()
        if token["bracket"]:
            part, index = _bracket(text, index)
        elif token["stars"]:
            part, index = _stars(text, start, index)
        elif token["any"]:
            part = b"[^/]"
        else:
            part = re.escape(token[0][-1:])
        parts.append(part)
    return b"".join(parts)


def _stars(text: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Two and more cross folders where they stand for whole names.

    git compares what comes before the first special character by itself, so that to it a pattern
    begins behind it.
    """
    whole = text[start - 1 : start] == b"/" or not _SPECIAL.search(text, 0, start)
    rest = text[end:]
    if end - start == 1 or not whole or not (rest == b"" or rest.startswith((b"/", b"\\/"))):
        return b"[^/]*", end
    if rest == b"":
        return b".*", end
    return (b"(?:.*/)?", end + 1) if rest.startswith(b"/") else (b".*", end)


def _bracket(text: bytes, index: int) -> tuple[bytes, int]:
    """From behind `[`; one that is never closed matches nothing."""
    negated = text[index : index + 1] in (b"!", b"^")
    inside, index = _members(text, index + negated)
    if inside is None:
        return _NEVER, len(text)
    if not inside:
        return (b"[^/]" if negated else _NEVER), index
    return b"(?!/)[" + (b"^" if negated else b"") + inside + b"]", index


def _members(text: bytes, start: int) -> tuple[bytes | None, int]:
    """What a bracket holds, and where it ends; None where it is never closed, or no bracket."""
    parts: list[bytes] = []
    low = b""  # what a range may begin with
    index = start
    while index == start or text[index : index + 1] != b"]":
        member = _MEMBER.match(text, index)
        if member is None or member["name"] not in (None, *_CLASSES):
            return None, index
        index = member.end()
        if member["name"] is not None:
            parts.append(_CLASSES[member["name"]])
            low = b""
        elif member["byte"] == b"-" and low and text[index : index + 1] not in (b"]", b""):
            high, index = _end_of_range(text, index)
            parts.append(_range(low, high))
            low = b""
        else:
            low = member["escaped"] or member["byte"]
            parts.append(re.escape(low))
    return b"".join(parts), index + 1


def _end_of_range(text: bytes, index: int) -> tuple[bytes, int]:
    escaped = text[index : index + 1] == b"\\"
    return text[index + escaped : index + escaped + 1], index + escaped + 1


def _range(low: bytes, high: bytes) -> bytes:
    """Bytes from `low` to `high`; nothing where they stand the wrong way round."""
    if low > high or not high:
        return b""
    return b"\\x%02x-\\x%02x" % (low[0], high[0])
