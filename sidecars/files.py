# SPDX-License-Identifier: Apache-2.0
"""Model files that a step of our own brings into the pod before the server starts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SCHEMES = ("hf", "oci", "http", "https", "s3", "gs", "az", "abfs", "abfss")
FOLDER = "files"
"""Of the store: what lies beside it is the server's own cache."""
QUERY = "HTTP_QUERY"
"""The step's variable of what follows the `?` of its URLs."""
_LONGEST_LOCK_BYTES = 96 * 1024  # Linux passes at most 128 KiB in one variable
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """Where the files are, and which of them.

    `hf://ORG/MODEL[@REVISION]` of a hub, `oci://HOST/NAME[:TAG|@DIGEST]` of a registry (an image of
    `imagekit model pack`, or an artifact of files), a folder in `s3://`, `gs://` or `az://`, or a
    file at `https://`.
    """

    source: str
    include: tuple[str, ...] = ()
    """Patterns such as `*.safetensors`; all files by default."""
    lock: Mapping[str, Any] | None = None
    """What `imagekit sidecar lock` wrote: the files, with sizes and sha256. Others are refused."""

    @property
    def size_bytes(self) -> int | None:
        """Of all files; None if that is not known before they come, or the lock is wrong."""
        if self.lock is None or any(_lock_problems(self, self.lock)):
            return None
        return sum(int(each["size_bytes"]) for each in self.lock["files"])

    @property
    def folder(self) -> str:
        """A name that changes with the content that is meant: two models share no folder."""
        meant = {"source": self.source, "include": sorted(self.include), "lock": self.lock}
        digest = hashlib.sha256(json.dumps(meant, sort_keys=True, default=dict).encode())
        name = re.sub(r"[^a-z0-9]+", "-", self.source.partition("://")[2].lower()).strip("-")
        return f"{name[-40:].strip('-')}-{digest.hexdigest()[:12]}"

    def described(self) -> dict[str, Any]:
        """As the step reads it."""
        found: dict[str, Any] = {"source": self.source}
        if self.include:
            found["include"] = list(self.include)
        if self.lock is not None:
            found["lock"] = {"source": self.lock["source"], "files": list(self.lock["files"])}
        return found


def file_problems(files: ModelFiles) -> Iterator[str]:
    """What is wrong with a description, before anybody asks for it."""
    scheme, separator, rest = files.source.partition("://")
    if not separator or scheme not in SCHEMES or not rest.strip("/"):
        yield f"files: {files.source!r} is none of {', '.join(f'{each}://' for each in SCHEMES)}"
    if scheme in ("http", "https") and "@" in rest.partition("/")[0]:
        yield "files: a URL with a password belongs in a secret, not in a pod's text"
    if scheme in ("http", "https") and "?" in rest:
        yield "files: a query may be a signature: leave it out, and give it as " + QUERY
    if files.lock is not None:
        yield from _lock_problems(files, files.lock)


def _lock_problems(files: ModelFiles, lock: Mapping[str, Any]) -> Iterator[str]:
    members = lock.get("files")
    if lock.get("lock_version") != 1 or not isinstance(members, list) or not members:
        yield "files: this is no lock of version 1, as `imagekit sidecar lock` writes it"
        return
    if lock.get("asked") != files.source:
        yield f"files: the lock is of {lock.get('asked')}, not of {files.source}: lock it again"
    for member in members:
        if not is_locked_file(member):
            yield f"files: {member!r:.100} is no file of a lock"
    if len(json.dumps(lock)) > _LONGEST_LOCK_BYTES:
        yield f"files: the lock has {len(members)} files, too many for a variable: use `include`"


def is_locked_file(member: Any) -> bool:
    return (
        isinstance(member, Mapping)
        and is_safe_path(member.get("path"))
        and isinstance(member.get("size_bytes"), int)
        and _SHA256.fullmatch(str(member.get("sha256"))) is not None
    )


def is_safe_path(path: Any) -> bool:
    """Of a file below a folder: relative, and never upwards."""
    if not isinstance(path, str) or not path or "\\" in path or "\0" in path:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))
