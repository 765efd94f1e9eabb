# SPDX-License-Identifier: Apache-2.0
"""Manifests and indexes of a repository: read with suspicion, and asked after.

The digest of the bytes counts; what a registry's headers say of them is compared with nothing.
"""

from __future__ import annotations

from imagekit.errors import IntegrityError, RegistryError
from imagekit.oci import digest as digests
from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.document import LIMIT_BYTES, Document
from imagekit.registry.auth import Rights
from imagekit.registry.connection import Call, Connection
from imagekit.registry.errors import Subject, TransientError
from imagekit.registry.exchange import Answer, Bytes
from imagekit.registry.reference import RegistryReference
from imagekit.values import frozen

_KNOWN = media_types.MANIFESTS | media_types.INDEXES
_ACCEPT = ", ".join(sorted(_KNOWN))


@frozen
class Manifest:
    """A manifest or an index, as its bytes are."""

    descriptor: Descriptor
    data: bytes

    @property
    def is_index(self) -> bool:
        return self.descriptor.media_type in media_types.INDEXES

    @property
    def document(self) -> Document:
        kind = "index" if self.is_index else "manifest"
        return Document.parse(self.data, f"{kind} {self.descriptor.digest}")

    @property
    def names(self) -> list[Descriptor]:
        """What it points at: manifests, or layers and at last the config."""
        document = self.document
        if self.is_index:
            return [Descriptor.from_document(item) for item in document.objects("manifests")]
        found = [*document.objects("layers"), document.object("config")]
        return [Descriptor.from_document(item) for item in found]


def find_manifest(
    connection: Connection, reference: RegistryReference, rights: Rights | None = None
) -> Manifest | None:
    """None where the registry said that there is none; whatever else goes wrong raises.

    Raises:
        RegistryError: it could not be found out.
        IntegrityError: what came is not what was asked for, or not the description of an image.
    """
    answer = connection.call(_call("GET", reference, rights))
    if answer.status == 404:
        return None
    source = f"manifest of {reference}"
    found = digests.of_bytes(answer.body)
    if reference.digest and found != reference.digest:
        raise IntegrityError(f"{source}: the registry sent other bytes, of digest {found}")
    said = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    media_type = _media_type(Document.parse(answer.body, source), said)
    return Manifest(Descriptor(media_type, found, len(answer.body)), answer.body)


def manifest_digest(connection: Connection, reference: RegistryReference) -> str | None:
    """The digest of what a reference names, or None where the registry said 404.

    It is the registry's word, where that makes sense, and else that of the bytes themselves.
    """
    answer = connection.call(_call("HEAD", reference, None))
    if answer.status == 404:
        return None
    try:
        found = digests.check(answer.headers.get("Docker-Content-Digest", ""))
    except IntegrityError:
        manifest = find_manifest(connection, reference)
        return None if manifest is None else manifest.descriptor.digest
    if reference.digest and found != reference.digest:
        raise IntegrityError(f"manifest of {reference}: the registry says that it is {found}")
    return found


def put_manifest(
    connection: Connection, reference: RegistryReference, descriptor: Descriptor, data: bytes
) -> None:
    """Store a manifest or index under the tag of `reference`, or under its digest.

    Raises:
        RegistryError: the registry refuses it, with its own code for the reason, or keeps
            something else.
    """
    call = Call(
        "PUT",
        _path(reference),
        Rights(reference.repository, writes=True),
        Subject(f"pushing {reference}", reference.host, may="write there"),
        {"Content-Type": descriptor.media_type},
        Bytes(data),
        again=False,
    )

    def attempt() -> Answer:
        try:
            return connection.call(call)
        except RegistryError as error:
            # The bytes are right: it has met its own files while another push was writing them.
            if error.code == "DIGEST_INVALID":
                raise TransientError(f"HTTP {error.status} DIGEST_INVALID") from error
            raise

    answer = connection.access.pace.retrying(call.subject.doing, attempt)
    if answer.status not in (200, 201, 202):
        raise connection.refused(call.subject, answer)
    said = answer.headers.get("Docker-Content-Digest", "")
    if said and said != descriptor.digest:
        raise RegistryError(
            f"pushing {reference}: the registry says that it keeps other bytes than were sent",
            hint=f"sent was {descriptor.digest}",
        )


def _path(reference: RegistryReference) -> str:
    return f"/v2/{reference.repository}/manifests/{reference.wanted}"


def _call(method: str, reference: RegistryReference, rights: Rights | None) -> Call:
    return Call(
        method,
        _path(reference),
        rights or Rights(reference.repository),
        Subject(f"reading {reference}", reference.host),
        headers={"Accept": _ACCEPT},
        expected=frozenset({404}),
        limit_bytes=LIMIT_BYTES,
    )


def _media_type(document: Document, said: str) -> str:
    """What a document is, if it says so itself and nothing else says otherwise."""
    inside = document.text("mediaType", said)
    if inside not in _KNOWN:
        raise IntegrityError(f"{document.source}: not an image, but of type {inside[:100]!r}")
    if said in _KNOWN and said != inside:
        raise IntegrityError(f"{document.source}: sent as {said}, and says that it is {inside}")
    foreign = {"layers", "config"} if inside in media_types.INDEXES else {"manifests"}
    if foreign & document.members.keys():
        raise IntegrityError(f"{document.source}: both an image and an index")
    return inside
