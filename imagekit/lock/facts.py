# SPDX-License-Identifier: Apache-2.0
"""What is kept of a file that may decide which bytecode an interpreter writes."""

from __future__ import annotations

import hashlib
import re

_DIGEST = "sha256:"
_END_OF_NAME = re.compile(rb"\.so(?:\.\d+)*\0")
_NAME = re.compile(rb"(?:lib|ld-)[\w.+-]+")


def facts_of(content: bytes) -> str:
    """The digest of a file, and the names of the libraries that stand in it, as words."""
    return " ".join([f"{_DIGEST}{hashlib.sha256(content).hexdigest()}", *_needed(content)])


def only_facts(kept: str) -> str:
    """Of words that end in facts these; nothing where they don't."""
    _, mark, rest = kept.partition(_DIGEST)
    return mark + rest


def without_facts(kept: str) -> str:
    """Of words that end in facts those before them."""
    return kept.partition(_DIGEST)[0].strip()


def _needed(content: bytes) -> list[str]:
    """In programs such a name is a text of its own: whoever needs a library says it so."""
    if not content.startswith(b"\x7fELF"):
        return []
    names = set()
    for match in _END_OF_NAME.finditer(content):
        name = content[content.rfind(b"\0", 0, match.start()) + 1 : match.end() - 1]
        if _NAME.fullmatch(name):
            names.add(name.decode())
    return sorted(names)
