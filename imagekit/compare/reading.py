# SPDX-License-Identifier: Apache-2.0
"""From an image's layers to its tree: each layer is streamed once, no file is held whole.

Of a few small files, what counts in them is kept: which packages they stand for, and what two
installers have to agree about.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from packaging.utils import canonicalize_name

from imagekit.compare.tree import Entry, FileTree, Kind
from imagekit.errors import IntegrityError
from imagekit.layers import record
from imagekit.oci.compression import uncompressed
from imagekit.oci.layer import Layer
from imagekit.oci.layer_tree import Metadata, checked_name, clean_parts
from imagekit.oci.tarstream import members
from imagekit.oci.unpack import DEFAULT_LIMITS

_CHUNK_BYTES = 1 << 20
_KEPT_BYTES = 32 << 20
"""Nothing larger is looked into; a RECORD of 100,000 files has a third of it."""

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_HEADER = re.compile(rb"^(Name|Version):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_STANZA = re.compile(r"^(Package|Version|Architecture|Status): *(.*)$", re.MULTILINE)
_IMPORT = re.compile(rb"^from ([\w.]+) import ([\w.]+)", re.MULTILINE)
_CALL = re.compile(rb"sys\.exit\(([\w.]+)\(\)\)")

INSTALLER_NOTES = re.compile(r".*\.dist-info/(INSTALLER|REQUESTED|direct_url\.json|uv_\w+\.json)")
"""What an installer writes about itself and about how it was called."""

BYTECODE = re.compile(r".*/__pycache__(/[^/]+\.pyc)?")


def lay(tree: FileTree, layers: Sequence[Layer]) -> None:
    """Lay `layers` over what is in `tree`.

    Raises:
        IntegrityError: a layer is not what was promised, or hostile.
        BuildError: this Python can't read its compression.
    """
    for layer in layers:
        tree.begin_layer()
        with uncompressed(layer, DEFAULT_LIMITS.layer_bytes) as tar:
            for member, content in members(tar):
                _add(tree, member, content)


def _add(tree: FileTree, member: tarfile.TarInfo, content: BinaryIO | None) -> None:
    parts = clean_parts(member.name)
    name = parts[-1] if parts else b""
    if name.startswith(_WHITEOUT) and not member.isdir():
        hidden = name.removeprefix(_WHITEOUT)
        if name == _OPAQUE:
            tree.clear(parts[:-1])
        elif not hidden.startswith(_WHITEOUT):
            tree.white_out([*parts[:-1], checked_name(hidden)])
    elif member.islnk():
        tree.hard_link(parts, clean_parts(member.linkname))
    else:
        tree.put(parts, _entry(b"/".join(parts).decode("utf-8", "replace"), member, content))


def _entry(path: str, member: tarfile.TarInfo, content: BinaryIO | None) -> Entry:
    about = Metadata.of(member)
    kind: Kind
    size_bytes, text = 0, ""
    kept: tuple[str, ...] = ()
    if content is not None:
        kind = "file"
        size_bytes, text, kept = _digested(path, content)
    elif member.issym():
        kind, text = "link", member.linkname
    elif member.isdir():
        kind = "directory"
    elif member.isfifo():
        kind = "pipe"
    elif member.isdev():
        kind, text = "device", f"{member.devmajor}:{member.devminor}"
    else:
        raise IntegrityError(f"{path[:200]!r}: a kind of file that images don't have")
    attributes = sorted(
        (key.removeprefix(_XATTR), value)
        for key, value in member.pax_headers.items()
        if key.startswith(_XATTR)
    )
    return Entry(
        kind,
        0o777 if kind == "link" else about.mode,
        about.uid,
        about.gid,
        about.mtime_seconds,
        size_bytes,
        text,
        tuple(attributes),
        kept,
    )


def _digested(path: str, content: BinaryIO) -> tuple[int, str, tuple[str, ...]]:
    """Size, sha256, and what is kept of the file."""
    keep = next((keep for pattern, keep in _KEEP.items() if pattern.fullmatch(path)), None)
    digest = hashlib.sha256()
    size_bytes = 0
    held = bytearray()
    while chunk := content.read(_CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
        if keep is not None and size_bytes <= _KEPT_BYTES:
            held += chunk
    whole = keep is not None and size_bytes <= _KEPT_BYTES
    return size_bytes, digest.hexdigest(), keep(bytes(held)) if keep and whole else ()


def _python_package(data: bytes) -> tuple[str, ...]:
    fields = {key.decode(): value.decode("utf-8", "replace") for key, value in _header(data)}
    name = canonicalize_name(fields.get("Name", ""))
    return (f"python {name}", fields.get("Version", ""))


def _header(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = _HEADER.findall(data.partition(b"\n\n")[0])
    return found


def _debian_packages(data: bytes) -> tuple[str, ...]:
    """Names and versions in turn, of what is installed; dpkg's or a distroless image's file."""
    found = []
    for stanza in re.split(r"\n{2,}", data.decode("utf-8", "replace")):
        fields = dict(_STANZA.findall(stanza))
        if "Package" in fields and fields.get("Status", "ok installed").endswith(" installed"):
            found.append((f"debian {fields['Package']}", fields.get("Version", "")))
    return tuple(text for pair in sorted(found) for text in pair)


def _record_lines(data: bytes) -> tuple[str, ...]:
    """One digest of the rows, but for those that stand for what installers differ in."""
    try:
        rows = record.parse(data, "RECORD").values()
    except IntegrityError:
        return ()
    lines = sorted(f"{row.path},{row.hash},{row.size}" for row in rows if not _is_free(row.path))
    return (hashlib.sha256("\n".join(lines).encode()).hexdigest(),)


def _is_free(path: str) -> bool:
    """Whether a row may be absent or other: notes, bytecode, launchers, the RECORD itself."""
    notes = INSTALLER_NOTES.fullmatch(path) or BYTECODE.fullmatch(f"/{path}")
    return bool(notes) or path.endswith(".dist-info/RECORD") or path.startswith("../../../bin/")


def _launched(data: bytes) -> tuple[str, ...]:
    """What a launcher imports and calls, whoever wrote it; nothing of other programs."""
    imported, called = _IMPORT.search(data), _CALL.search(data)
    if not data.startswith(b"#!") or imported is None or called is None:
        return ()
    return (imported[1].decode(), imported[2].decode(), called[1].decode())


_KEEP: Mapping[re.Pattern[str], Callable[[bytes], tuple[str, ...]]] = {
    re.compile(r".*\.dist-info/METADATA|.*\.egg-info(/PKG-INFO)?"): _python_package,
    re.compile(r"var/lib/dpkg/status(\.d/[^/]+)?"): _debian_packages,
    re.compile(r".*\.dist-info/RECORD"): _record_lines,
    re.compile(r"opt/venv/bin/[^/]+"): _launched,
}
