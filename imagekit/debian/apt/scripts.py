# SPDX-License-Identifier: Apache-2.0
"""Which maintainer scripts have to run (Debian Policy 6), told from their text.

A script that does nothing at a first installation need not (`simplify`). Most texts are debhelper's
own snippets, between two comments that name the tool; what some of those do is known. What
`update-alternatives` does is done without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from imagekit.debian.apt.alternatives import Alternative, parse
from imagekit.debian.apt.simplify import left_at_first, something

_SNIPPET = re.compile(
    r"^# Automatically added by (?P<tool>[\w-]+)(?:/\S+)?\n.*?^# End automatically added section$",
    re.MULTILINE | re.DOTALL,
)
_QUIET_TOOLS: Mapping[str, str] = {
    "dh_installdeb": "moves configuration files of earlier versions",
    "dh_installmenu": "updates a menu, where there is one",
    "dh_makeshlibs": "runs ldconfig; the loader's cache is made anyway",
    "dh_pypy": "compiles modules",
    "dh_python3": "compiles modules; Python does so itself when it may",
}
_MADE_ANYWAY = frozenset({"ldconfig"})
"""Triggers whose work is done without them."""


def has_to_run(control: Mapping[str, bytes]) -> bool:
    """Whether a package with these control files needs one of its scripts when it is new.

    So it does when it waits for triggers, or sets off one of others.
    """
    if interests(control) or set(_triggers(control, "activate")) - _MADE_ANYWAY:
        return True
    return runs_first(control) or not _is_quiet(control.get("postinst", b""), "configure")


def runs_first(control: Mapping[str, bytes]) -> bool:
    """Whether a script has to run before the package is unpacked."""
    return not _is_quiet(control.get("preinst", b""), "install")


def interests(control: Mapping[str, bytes]) -> list[str]:
    """The triggers that a package waits for: names, or absolute paths."""
    return _triggers(control, "interest")


def _triggers(control: Mapping[str, bytes], directive: str) -> list[str]:
    """Names after `directive` and its variants (deb-triggers(5))."""
    text = control.get("triggers", b"").decode("utf-8", "replace")
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) == 2 and words[0].startswith(directive)]


def alternatives_of(control: Mapping[str, bytes]) -> list[Alternative]:
    """Those that a package without other scripts installs."""
    lines = _left(control.get("postinst", b""), "configure")
    return [each for line in lines for each in parse(line) or ()]


def _is_quiet(script: bytes, action: str) -> bool:
    left = _left(script, action)
    if action == "install":
        return not left
    return all(parse(line) is not None for line in left)


def _left(script: bytes, action: str) -> list[str]:
    text = script.decode("utf-8", "replace")
    text = _SNIPPET.sub(lambda m: "" if m["tool"] in _QUIET_TOOLS else m[0], text)
    return [*something(left_at_first(text, action))]
