# SPDX-License-Identifier: Apache-2.0
"""Which requirements an image can be asked for, one at a time."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from imagekit.spec.plain import RESERVED
from imagekit.urls import masked

_OTHER_VERSION_CONTROL = ("hg+", "bzr+", "svn+")
_HASHES = {"md5", "sha1", "sha224", "sha384", "sha512", "blake2b"}
_ONE_EQUALS_SIGN = re.compile(r"[\w.-]+(\[[^\]]*\])?\s*=[^=]")
_OF_GIT = "write NAME @ git+https://HOST/PATH@REVISION"


class UnusableRequirementError(ValueError):
    """Says what is wrong with a requirement; `hint` what would be right."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse(text: str) -> Requirement:
    """The requirement that `text` writes, if an image can hold it.

    Raises:
        UnusableRequirementError: it is no requirement, or of a kind that can't be locked.
    """
    stripped = text.strip()
    shown = repr(masked(text))
    if stripped.startswith("-"):
        raise UnusableRequirementError(
            f"{shown} is an option, not a requirement", "options belong in a requirements.txt"
        )
    if stripped.startswith(_OTHER_VERSION_CONTROL):
        raise UnusableRequirementError(f"{shown}: of version control only git is read", _OF_GIT)
    if stripped.startswith((".", "/")) or (stripped.endswith(".whl") and "@" not in stripped):
        raise UnusableRequirementError(
            f"{shown}: a path is no requirement", "write NAME @ file:///PATH/TO/WHEEL.whl"
        )
    try:
        requirement = Requirement(stripped)
    except InvalidRequirement as error:
        reason = masked(str(error).splitlines()[0])
        hint = "versions are pinned with ==" if _ONE_EQUALS_SIGN.match(stripped) else None
        raise UnusableRequirementError(f"{shown} is not a requirement: {reason}", hint) from error
    _check_url(shown, requirement)
    check_name(requirement.name)
    return requirement


def check_name(name: str) -> None:
    """Refuse the distributions that would overwrite the runtime.

    Raises:
        UnusableRequirementError: `name` is one of them.
    """
    reason = RESERVED.get(canonicalize_name(name))
    if reason is not None:
        raise UnusableRequirementError(f"{name} can't be in a task image: {reason}")


def _check_url(shown: str, requirement: Requirement) -> None:
    url = requirement.url
    if url is None:
        return
    if url.startswith(_OTHER_VERSION_CONTROL):
        raise UnusableRequirementError(f"{shown}: of version control only git is read", _OF_GIT)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise UnusableRequirementError(f"{shown}: the URL is not https, http or file")
    if not unquote(parts.path).endswith(".whl"):
        raise UnusableRequirementError(
            f"{shown}: a URL must name a wheel (.whl) or an archive of source (.tar.gz, .zip)"
        )
    check_hashes(shown, parts.fragment)


def check_hashes(shown: str, fragment: str) -> None:
    """Refuse the fragment of a URL whose hashes hold no sha256: nobody would look at them.

    Raises:
        UnusableRequirementError: it is such a one.
    """
    said = dict(parse_qsl(fragment))
    others = sorted(_HASHES & said.keys())
    if others and "sha256" not in said:
        raise UnusableRequirementError(
            f"{shown}: an image is held to a sha256, and the URL has {', '.join(others)} alone",
            "write #sha256=... there",
        )
