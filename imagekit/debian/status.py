# SPDX-License-Identifier: Apache-2.0
"""dpkg's database of what is installed, as dpkg itself leaves it; scanners read it.

Maintainer scripts are not kept: no dpkg is there to run them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from imagekit.debian.control import Stanza, stanzas
from imagekit.debian.unpack import UnpackedDeb

DIRECTORY = "var/lib/dpkg"
KEPT = frozenset({"conffiles", "md5sums"})
"""Control files of packages that are of use without a dpkg."""


def database(unpacked: Sequence[UnpackedDeb]) -> dict[str, bytes]:
    """The files of the database: path to content. To be called while the blobs are in place."""
    files = {f"{DIRECTORY}/info/format": b"1\n"}
    status = []
    for deb in sorted(unpacked, key=lambda deb: deb.package.name):
        fields = control_fields(deb.control)
        status.append(stanza(fields, _configuration_files(deb)))
        files.update(info_files(fields, deb.control, deb.listed, KEPT))
    files[f"{DIRECTORY}/status"] = "".join(status).encode("utf-8", "surrogateescape")
    return files


def control_fields(control: Mapping[str, bytes]) -> Stanza:
    return next(stanzas(control["control"].decode("utf-8", "surrogateescape")))


def info_files(
    fields: Stanza, control: Mapping[str, bytes], listed: Sequence[str], kept: Collection[str]
) -> dict[str, bytes]:
    """What the database says of one package beside its stanza: path to content.

    `listed` are the paths that it holds, `kept` the names of control files to keep.
    """
    name = fields["Package"]
    if fields.get("Multi-Arch") == "same":
        name = f"{name}:{fields['Architecture']}"
    lines = ["/.\n", *(f"/{path}\n" for path in listed)]
    files = {f"{DIRECTORY}/info/{name}.list": "".join(lines).encode("utf-8", "surrogateescape")}
    for kind in sorted(control.keys() & set(kept)):
        files[f"{DIRECTORY}/info/{name}.{kind}"] = control[kind]
    return files


def stanza(fields: Stanza, settings: Iterable[tuple[str, str]]) -> str:
    """The stanza of an installed package; `settings` are configuration files with their MD5."""
    lines = []
    for name, value in fields.items():
        # A folded field may have nothing on its first line.
        lines.append(f"{name}:{'' if value.startswith(chr(10)) else ' '}{value}\n")
        if name == "Package":
            lines.append("Status: install ok installed\n")
    marked = [f" {path} {digest}\n" for path, digest in settings]
    if marked:
        lines += ["Conffiles:\n", *marked]
    return "".join((*lines, "\n"))


def _configuration_files(deb: UnpackedDeb) -> Iterator[tuple[str, str]]:
    """Each with the MD5 of its content, which is what dpkg compares."""
    for path in deb.control.get("conffiles", b"").decode("utf-8", "surrogateescape").splitlines():
        blob = deb.blobs.get(path.strip().removeprefix("/"))
        if blob is not None:
            yield path.strip(), hashlib.md5(blob.read_bytes(), usedforsecurity=False).hexdigest()
