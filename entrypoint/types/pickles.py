# SPDX-License-Identifier: Apache-2.0
"""Pickled values: `Annotated[T, Pickle]`, and bytes, which Flyte pickles too.

Reading a pickle runs what is in it, so none is read or written unless the annotation asks for it.
Bytes are read by an unpickler that runs nothing. The sha256 of what was written stands in the
literal's metadata; it is verified when there, and demanded under IMAGEKIT_REQUIRE_DIGEST=1.
"""

from __future__ import annotations

import os
import pickle
from hashlib import sha256
from io import BytesIO

from ..contract import running
from ..errors import ConversionError, InputsCorruptError, InputsMissingError
from ..storage import storage_for
from . import EXACTLY, LOOSELY, NO, describe, fit, kind_of
from .containers import packed_literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..place import Place
    from ..wire.protobuf import Message

_FORMAT = "PythonPickle"
_DIGEST = "sha256"


class Pickle:
    """The wish for a pickle, in an annotation: `Annotated[Model, Pickle]`."""


class Pickled:
    tag = "FlytePickle"

    def __init__(self, annotation: Any) -> None:
        self.type = annotation
        name = {"string_value": str(annotation)}
        self.literal_type: Message = {
            "blob": {"format": _FORMAT},
            "metadata": {"fields": {"python_class_name": name}},
        }

    def to_literal(self, value: Any, place: Place) -> Message:
        stored = self._store(value, place)
        blob = {"metadata": {"type": {"format": _FORMAT}}, "uri": stored["path"]}
        return {"scalar": {"blob": blob}, "metadata": {_DIGEST: stored[_DIGEST]}}

    def from_literal(self, literal: Message) -> Any:
        blob = literal.get("scalar", {}).get("blob")
        if blob is None:
            raise ConversionError(f"expected a pickle, got {kind_of(literal)}")
        digest = literal.get("metadata", {}).get(_DIGEST)
        return self._read(blob.get("uri", ""), digest)

    def pack(self, value: Any, place: Place) -> Any:
        return self._store(value, place)

    @staticmethod
    def _store(value: Any, place: Place) -> dict[str, str]:
        if place.prefix is None:
            raise ConversionError("a pickle has to be stored: give an --output-prefix")
        data = _pickled(value)
        digest = sha256(data).hexdigest()
        return {"path": place.keep_bytes(data, digest), _DIGEST: digest}

    def unpack(self, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("path"), str):
            raise ConversionError(f"expected a pickle's path, got {describe(value)}")
        return self._read(value["path"], value.get(_DIGEST))

    def fits(self, value: Any) -> int:
        return fit(value, self.type) if isinstance(self.type, type) else LOOSELY

    def _read(self, uri: str, digest: str | None) -> Any:
        try:
            with open(storage_for(uri).fetch(uri), "rb") as file:
                data = file.read()
        except OSError as error:
            raise InputsMissingError(f"reading {uri}: {error.strerror or error}") from error
        self._check(uri, data, digest)
        try:
            return self._load(data)
        except Exception as error:
            name = type(error).__qualname__
            raise ConversionError(f"unpickling {uri}: {name}: {error}") from error

    def _check(self, uri: str, data: bytes, digest: str | None) -> None:
        if digest is None:
            if _demands_digest():
                raise ConversionError(
                    f"{uri} has no digest, and IMAGEKIT_REQUIRE_DIGEST demands one"
                )
        elif sha256(data).hexdigest() != digest:
            raise InputsCorruptError(f"{uri} is not what its sha256 {digest} says")

    def _load(self, data: bytes) -> Any:
        return pickle.loads(data)  # noqa: S301 - the annotation asks for it


class Bytes(Pickled):
    """Without a place to store them, as for `call` by hand, bytes are kept in the literal."""

    textual = False

    def to_literal(self, value: Any, place: Place) -> Message:
        self._check_type(value)
        if place.prefix is None:
            return packed_literal(value)
        return super().to_literal(value, place)

    def pack(self, value: Any, place: Place) -> bytes:
        """Inside a dataclass they are bytes of MessagePack."""
        self._check_type(value)
        return bytes(value)

    def unpack(self, value: Any) -> Any:
        """JSON has them in base64."""
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str):
            return super().unpack(value)
        from base64 import b64decode

        try:
            return b64decode(value, validate=True)
        except ValueError as error:
            raise ConversionError(f"expected base64, got {value!r:.60}") from error

    def fits(self, value: Any) -> int:
        return EXACTLY if isinstance(value, bytes) else NO

    def _check_type(self, value: Any) -> None:
        if not isinstance(value, bytes):
            raise ConversionError(f"expected bytes, got {describe(value)}")

    def _check(self, uri: str, data: bytes, digest: str | None) -> None:
        """Nothing in the file can run, so that a digest is verified and never demanded."""
        if digest is not None:
            super()._check(uri, data, digest)

    def _load(self, data: bytes) -> Any:
        value = _PlainUnpickler(BytesIO(data)).load()
        self._check_type(value)
        return value


def _demands_digest() -> bool:
    """By the command line, of which the environment is a part."""
    if running:
        wish = running[0].options.get("require-digest")
    else:
        wish = os.environ.get("IMAGEKIT_REQUIRE_DIGEST")
    return (wish or "").lower() in ("1", "t", "true")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"bytes alone are expected, not {module}.{name}")


def _pickled(value: Any) -> bytes:
    """By cloudpickle where the image has it, as it takes what is defined in the task itself."""
    try:
        dumps = __import__("cloudpickle").dumps
    except ImportError:
        dumps = pickle.dumps
    try:
        data: bytes = dumps(value)
    except Exception as error:
        name = type(error).__qualname__
        raise ConversionError(f"can't be pickled: {name}: {error}") from error
    return data
