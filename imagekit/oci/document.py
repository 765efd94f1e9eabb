# SPDX-License-Identifier: Apache-2.0
"""JSON documents of an image: written with canonical bytes, read with suspicion.

A document that was read is data of strangers: every member is checked for its type when it is
taken out, and whatever is wrong is one IntegrityError that names the document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagekit.errors import IntegrityError
from imagekit.values import frozen

LIMIT_BYTES = 4 << 20
"""No manifest, config or index may be larger; registries have the same limit."""


def encode(value: Mapping[str, Any]) -> bytes:
    """The one way in which a document is written: sorted keys, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@frozen
class Document:
    """A JSON object that was read; `source` is its name in errors."""

    source: str
    members: Mapping[str, Any]

    @classmethod
    def parse(cls, data: bytes, source: str) -> Document:
        if len(data) > LIMIT_BYTES:
            raise IntegrityError(f"{source}: more than {LIMIT_BYTES} bytes of JSON")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f"{source}: not JSON: {str(error)[:100]}") from error
        if not isinstance(value, dict):
            raise IntegrityError(f"{source}: not a JSON object")
        return cls(source, value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.members.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def count(self, key: str) -> int:
        value = self.members.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key, "a count")
        return value

    def object(self, key: str) -> Document:
        """The object at `key`; an empty one where it is absent or null."""
        value = self.members.get(key)
        if not isinstance(value, (dict, type(None))):
            raise self._wrong(key, "an object")
        return Document(f"{self.source}: {key}", value or {})

    def objects(self, key: str) -> list[Document]:
        value = self._list(key)
        if not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, "a list of objects")
        return [Document(f"{self.source}: {key}[{at}]", item) for at, item in enumerate(value)]

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._list(key)
        if not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(value)

    def text_map(self, key: str) -> dict[str, str]:
        value = self.object(key).members
        if not all(isinstance(item, str) for item in value.values()):
            raise self._wrong(key, "an object of texts")
        return dict(value)

    def _list(self, key: str) -> list[Any]:
        value = self.members.get(key)
        if not isinstance(value, (list, type(None))):
            raise self._wrong(key, "a list")
        return value or []

    def _wrong(self, key: str, wanted: str) -> IntegrityError:
        return IntegrityError(f"{self.source}: {key!r} is not {wanted}")
