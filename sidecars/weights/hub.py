# SPDX-License-Identifier: Apache-2.0
"""Models of a Hugging Face hub, by its HTTP API: the commit, its tree, and `resolve` for each file.

The hub has the sha256 of large files, and git's own digest of the others; both are checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urljoin

from ..errors import FilesError
from ..files import is_safe_path
from .remote import Remote
from .web import document

ENDPOINT = "https://huggingface.co"
"""As the hub's own client has it where HF_ENDPOINT names no other."""


def listing(source: str, environment: Mapping[str, str], until: float) -> tuple[str, list[Remote]]:
    endpoint = (environment.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
    token = environment.get("HF_TOKEN", "").strip()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    model, _, revision = source.removeprefix("hf://").strip("/").partition("@")
    if model.count("/") != 1:
        raise FilesError(f"{source} is not written hf://ORG/MODEL[@REVISION]")
    about = f"{endpoint}/api/models/{quote(model)}"
    data, _ = document(f"{about}/revision/{quote(revision or 'main', safe='')}", headers, until)
    commit = _parsed(data, about).get("sha")
    if not isinstance(commit, str) or not commit.isalnum():
        raise FilesError(f"{about} names no commit")
    files = [
        _remote(each, f"{endpoint}/{quote(model)}/resolve/{commit}", headers)
        for each in _tree(f"{about}/tree/{commit}?recursive=true", headers, until)
        if each.get("type") == "file"
    ]
    return f"hf://{model}@{commit}", files


def _tree(url: str, headers: Mapping[str, str], until: float) -> Iterator[dict[str, Any]]:
    """All pages: each names the next by its header Link (RFC 8288)."""
    following: str | None = url
    while following:
        data, answered = document(following, headers, until)
        members = json.loads(data)
        if not isinstance(members, list):
            raise FilesError(f"{following} is no list of files")
        yield from (each for each in members if isinstance(each, dict))
        link = answered.get("Link", "")
        target, _, relation = link.partition(">")
        following = urljoin(following, target.strip(" <")) if 'rel="next"' in relation else None


def _remote(entry: Mapping[str, Any], base: str, headers: Mapping[str, str]) -> Remote:
    path, large = entry.get("path"), entry.get("lfs")
    if not is_safe_path(path):
        raise FilesError(f"the hub names a file {path!r:.200}, which no file may be called")
    sha256 = large.get("oid", "").removeprefix("sha256:") if isinstance(large, dict) else None
    return Remote(
        path=str(path),
        url=f"{base}/{quote(str(path))}",
        headers=headers,
        size_bytes=entry.get("size"),
        sha256=sha256 or None,
        git_sha1=None if sha256 else entry.get("oid"),
    )


def _parsed(data: bytes, place: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FilesError(f"{place} answers no JSON object")
    return found
