# SPDX-License-Identifier: Apache-2.0
"""Which maintainer scripts have to run (Debian Policy 6), told from their text.

A script that does nothing at a first installation need not. Most texts are debhelper's own
snippets, between two comments that name the tool; what some of those do is known.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

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
_NOTHING = re.compile(r"\s*(?:#.*|set -eu?|exit 0|:|true)?;?\s*")
_KNOWN = frozenset(
    {
        # git's preinst acts on upgrades from before 1.8.4
        "06637c861c1bd57e8052ee0056e8a4c602a3996c4b3ddbab32180b869678d158",
        # perl's postinst removes what earlier versions made
        "e34b38460945afd9efb8cbca1468af90d255feef5b4233b66fd5b4803903fb58",
        # perl's postinst removes what earlier versions made
        "b0d7f9d49ec9174fe82451a5c104dfc49a84ed373bdf4302969096755368e409",
    }
)
"""SHA-256 of what is left of scripts (see `_left`) that do nothing at a first installation."""
_MADE_ANYWAY = frozenset({"ldconfig"})
"""Triggers whose work is done without them."""


def has_to_run(control: Mapping[str, bytes]) -> bool:
    """Whether a package with these control files needs one of its scripts when it is new.

    So it does when it waits for triggers, or sets off one of others.
    """
    if interests(control) or set(_triggers(control, "activate")) - _MADE_ANYWAY:
        return True
    return runs_first(control) or not _is_quiet(control.get("postinst", b""))


def runs_first(control: Mapping[str, bytes]) -> bool:
    """Whether a script has to run before the package is unpacked."""
    return not _is_quiet(control.get("preinst", b""))


def interests(control: Mapping[str, bytes]) -> list[str]:
    """The triggers that a package waits for: names, or absolute paths."""
    return _triggers(control, "interest")


def _triggers(control: Mapping[str, bytes], directive: str) -> list[str]:
    """Names after `directive` and its variants (deb-triggers(5))."""
    text = control.get("triggers", b"").decode("utf-8", "replace")
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) == 2 and words[0].startswith(directive)]


def _is_quiet(script: bytes) -> bool:
    left = _left(script)
    return not left or hashlib.sha256("\n".join(left).encode()).hexdigest() in _KNOWN


def _left(script: bytes) -> list[str]:
    """The lines that do something, or might."""
    text = script.decode("utf-8", "replace")
    text = _SNIPPET.sub(lambda m: "" if m["tool"] in _QUIET_TOOLS else m[0], text)
    return [line.strip() for line in text.splitlines() if not _NOTHING.fullmatch(line)]
