# SPDX-License-Identifier: Apache-2.0
"""One blob into one repository, by the cheapest way that the registry allows."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from imagekit.errors import RegistryError
from imagekit.registry.auth import Rights
from imagekit.registry.connection import Call
from imagekit.registry.upload import Blob, Target, begin, place_of, upload

_MOUNT_REFUSED = frozenset({400, 401, 403, 404, 405})

Outcome = Literal["present", "mounted", "uploaded"]


def place(target: Target, blob: Blob, mount_from: str = "") -> Outcome:
    """See to it that a repository has the blob: found there, mounted from a neighbour, or sent.

    Raises:
        RegistryError: the registry refuses it, or can't be reached.
        IntegrityError: the blob is not what it should be.
        StoppedError: `target.stopped` was set.
    """
    # Mounting comes first: where it works, it is the only request.
    begun = _mount(target, blob, mount_from) if mount_from else ""
    if begun is None:
        return "mounted"
    path = f"/v2/{target.repository}/blobs/{blob.digest}"
    call = Call("HEAD", path, target.rights, target.subject, expected=frozenset({404}))
    if target.connection.call(call).status != 404:
        return "present"
    with target.sending:
        upload(target, blob, begun)
    return "uploaded"


def _mount(target: Target, blob: Blob, source: str) -> str | None:
    """None where it was mounted; else the upload that the registry began instead, or nothing."""
    query = f"?mount={quote(blob.digest, safe='')}&from={quote(source, safe='')}"
    try:
        answer = begin(target, query, Rights(target.repository, writes=True, reads_too=source))
    except RegistryError as error:
        if error.status in _MOUNT_REFUSED:
            return ""
        raise
    return None if answer.status == 201 else place_of(answer, target.subject)
