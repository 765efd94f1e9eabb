# SPDX-License-Identifier: Apache-2.0
"""How people name an image: `NAME[:TAG][@DIGEST]`, or a digest alone."""

from __future__ import annotations

import re

from imagekit.errors import BuildError
from imagekit.oci import digest as digests
from imagekit.values import frozen

DEFAULT_TAG = "latest"

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>{_HOST}{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>.+))?"
)


@frozen
class Reference:
    """`name` is empty where a digest stands alone; `tag` is empty where a digest says more."""

    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises BuildError for what is no reference. Without tag and digest: `latest`."""
        if text.startswith("sha256:"):
            return cls("", "", digests.check(text))
        matched = _REFERENCE.fullmatch(text)
        if matched is None:
            raise BuildError(
                f"not the name of an image: {text!r}",
                hint="NAME[:TAG][@sha256:...], the name in lower case",
            )
        digest = matched["digest"] or ""
        tag = matched["tag"] or ("" if digest else DEFAULT_TAG)
        return cls(matched["name"], tag, digests.check(digest) if digest else "")

    @property
    def tagged(self) -> str:
        """`NAME:TAG`, as indexes and engines keep it."""
        return f"{self.name}:{self.tag or DEFAULT_TAG}"
