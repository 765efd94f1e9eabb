# SPDX-License-Identifier: Apache-2.0
"""The names under which OpenSSL looks for authorities in a folder: hashes of their subjects.

`openssl rehash` would make them; it is a program of the image's architecture, so they are
computed here. The hash is OpenSSL's own (X509_NAME_hash): SHA-1 over the subject in a canonical
form, in which case and white space don't count.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

from imagekit.errors import IntegrityError

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _SET, _EXPLICIT_VERSION, _UTF8_STRING = 0x30, 0x31, 0xA0, 0x0C
_TEXTS = {
    0x0C: "utf-8",
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # T61String, which OpenSSL takes for Latin-1
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_WHITE_SPACE = re.compile("[ \t\n\v\f\r]+")
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def subject_hash(pem: bytes) -> str:
    """Eight hex digits, as `openssl x509 -subject_hash` prints them.

    Raises:
        IntegrityError: it is no certificate.
    """
    matched = _PEM.search(pem)
    try:
        subject = _subject(base64.b64decode(matched[1] if matched else b""))
        canonical = b"".join(_canonical_set(content) for _, content in _elements(subject))
    except (ValueError, IndexError) as error:
        raise IntegrityError(f"a certificate authority does not read: {error}") from error
    # SHA-1 is what OpenSSL names these files by; nothing is trusted for it.
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _subject(certificate: bytes) -> bytes:
    """The content of the subject's Name (RFC 5280, 4.1)."""
    ((_, body),) = _elements(certificate)
    (_, signed), *_ = _elements(body)
    fields = [field for field in _elements(signed) if field[0] != _EXPLICIT_VERSION]
    # serialNumber, signature, issuer, validity, subject
    return fields[4][1]


def _canonical_set(content: bytes) -> bytes:
    attributes = sorted(_canonical_attribute(attribute) for _, attribute in _elements(content))
    return _encoded(_SET, b"".join(attributes))


def _canonical_attribute(content: bytes) -> bytes:
    (kind, name), (tag, value) = _elements(content)
    encoding = _TEXTS.get(tag)
    if encoding is not None:
        text = _WHITE_SPACE.sub(" ", value.decode(encoding)).strip(" ").translate(_LOWER)
        tag, value = _UTF8_STRING, text.encode()
    return _encoded(_SEQUENCE, _encoded(kind, name) + _encoded(tag, value))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element in `data`; tags have one byte here."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length >= 0x80:
            count = length - 0x80
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + length > len(data):
            raise ValueError("an element is longer than what holds it")
        yield tag, data[position : position + length]
        position += length


def _encoded(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 + len(size))) + size + content
