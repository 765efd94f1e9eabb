# SPDX-License-Identifier: Apache-2.0
"""dpkg's database of what is installed, as dpkg itself leaves it; scanners read it.

Maintainer scripts are not kept: no dpkg is there to run them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from imagekit.debian.control import Stanza, stanzas
from imagekit.debian.unpack import UnpackedDeb

_DIRECTORY = "var/lib/dpkg"


def database(unpacked: Sequence[UnpackedDeb]) -> dict[str, bytes]:
    """The files of the database: path to content. To be called while the blobs are in place."""
    files = {f"{_DIRECTORY}/info/format": b"1\n"}
    status = []
    for deb in sorted(unpacked, key=lambda deb: deb.package.name):
        fields = next(stanzas(deb.control["control"].decode("utf-8", "surrogateescape")))
        status.append(_stanza(fields, deb))
        name = fields["Package"]
        if fields.get("Multi-Arch") == "same":
            name = f"{name}:{fields['Architecture']}"
        listed = ["/.", *(f"/{path}" for path in deb.listed)]
        files[f"{_DIRECTORY}/info/{name}.list"] = _text(line + "\n" for line in listed)
        for kind in ("md5sums", "conffiles"):
            if kind in deb.control:
                files[f"{_DIRECTORY}/info/{name}.{kind}"] = deb.control[kind]
    files[f"{_DIRECTORY}/status"] = _text(status)
    return files


def _stanza(fields: Stanza, deb: UnpackedDeb) -> str:
    lines = []
    for name, value in fields.items():
        # A folded field may have nothing on its first line.
        lines.append(f"{name}:{'' if value.startswith(chr(10)) else ' '}{value}\n")
        if name == "Package":
            lines.append("Status: install ok installed\n")
    marked = [f" {path} {digest}\n" for path, digest in _configuration_files(deb)]
    if marked:
        lines += ["Conffiles:\n", *marked]
    return "".join((*lines, "\n"))


def _configuration_files(deb: UnpackedDeb) -> Iterator[tuple[str, str]]:
    """Each with the MD5 of its content, which is what dpkg compares."""
    for path in deb.control.get("conffiles", b"").decode("utf-8", "surrogateescape").splitlines():
        blob = deb.blobs.get(path.strip().removeprefix("/"))
        if blob is not None:
            yield path.strip(), hashlib.md5(blob.read_bytes(), usedforsecurity=False).hexdigest()


def _text(parts: Iterable[str]) -> bytes:
    return "".join(parts).encode("utf-8", "surrogateescape")
