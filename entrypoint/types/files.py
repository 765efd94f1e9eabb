# SPDX-License-Identifier: Apache-2.0
"""File and Directory: values that are a path to the task and a URI on the wire.

What a task returns is stored under the raw output prefix at a fresh random name, so that attempts
never meet; what it was given, or names by a remote URI, is passed on as it is.
"""

from __future__ import annotations

import os

from ..errors import ConversionError, InputsMissingError
from ..storage import scheme_of, storage_for
from ..wire import messages
from . import LOOSELY, NO, describe, fit, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, ClassVar

    from ..place import Place
    from ..wire.protobuf import Message


class _Stored:
    """Something at a URI, fetched when its path is first asked for.

    `is_stored`: the URI is where it stays, so that it is passed on rather than stored again.
    """

    __slots__ = ("_path", "is_stored", "uri")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.uri = os.fspath(path)
        self._path: str | None = None
        self.is_stored = scheme_of(self.uri) not in ("", "file")

    @property
    def path(self) -> str:
        """Where it is on this machine; fetched there if it was elsewhere."""
        if self._path is None:
            try:
                self._path = storage_for(self.uri).fetch(self.uri)
            except OSError as error:
                if not self.is_stored:
                    raise
                if isinstance(error, FileNotFoundError):
                    raise InputsMissingError(f"{self.uri} does not exist") from error
                raise InputsMissingError(f"reading {self.uri}: {error}") from error
        return self._path

    def moved_to(self, uri: str, path: str) -> None:
        """It is now stored at the URI, and still here at the path."""
        self.uri, self._path, self.is_stored = uri, path, True

    def __fspath__(self) -> str:
        return self.path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.uri == self.uri

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.uri))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


class File(_Stored):
    """One file: `File("model.joblib")` to return, `open(file)` or `file.open()` to read."""

    __slots__ = ()

    def open(self, mode: str = "r", *, encoding: str | None = None) -> IO[Any]:
        if encoding is None and "b" not in mode:
            encoding = "utf-8"
        return open(self.path, mode, encoding=encoding)


class Directory(_Stored):
    """A directory and all that is in it: `Directory("out")` to return, `os.listdir` to read."""

    __slots__ = ()


class _StoredType:
    """Both types; the one differs from the other in its class, its test and a number."""

    tag: str
    textual = True
    type: ClassVar[type[File | Directory]]
    dimensionality: ClassVar[int]

    literal_type: ClassVar[Message]

    def __init__(self, annotation: Any) -> None:
        """The annotation is the class itself."""

    def to_literal(self, value: Any, place: Place) -> Message:
        metadata = {"type": {"dimensionality": self.dimensionality}}
        return {"scalar": {"blob": {"metadata": metadata, "uri": self._uri(value, place)}}}

    def from_literal(self, literal: Message) -> Any:
        blob = literal.get("scalar", {}).get("blob")
        if blob is None:
            raise ConversionError(f"expected {self.type.__name__}, got {kind_of(literal)}")
        kind = blob.get("metadata", {}).get("type", {}).get("dimensionality", 0)
        if kind != self.dimensionality:
            other = "a directory" if kind == messages.MULTIPART else "a single file"
            raise ConversionError(f"expected {self.type.__name__}, got {other}")
        return self._given(blob.get("uri", ""))

    def pack(self, value: Any, place: Place) -> dict[str, str]:
        return {"path": self._uri(value, place)}

    def unpack(self, value: Any) -> Any:
        if isinstance(value, dict):
            value = value.get("path")
        if not isinstance(value, str) or not value:
            raise ConversionError(f"expected a path or URI, got {describe(value)}")
        return self._given(value)

    def fits(self, value: Any) -> int:
        """A path or URI as text counts, where no variant is for text."""
        if isinstance(value, str | os.PathLike) and not isinstance(value, _Stored):
            return LOOSELY
        return fit(value, self.type) if isinstance(value, self.type) else NO

    def _given(self, uri: str) -> Any:
        given = self.type(uri if scheme_of(uri) else os.path.abspath(uri))
        given.is_stored = True
        return given

    def _uri(self, value: Any, place: Place) -> str:
        if isinstance(value, str | os.PathLike) and not isinstance(value, _Stored):
            value = self.type(value)
        if not isinstance(value, self.type):
            raise ConversionError(f"expected {self.type.__name__}, got {describe(value)}")
        if value.is_stored:
            return value.uri
        path = os.path.abspath(value.uri.removeprefix("file://"))
        if not self._exists(path):
            raise ConversionError(f"no {self.type.__name__.lower()} at {path}")
        if self.type is Directory and place.prefix is not None:
            _check_contents(path, ())
        uri = place.keep(path)
        value.moved_to(uri, path)
        return uri

    @staticmethod
    def _exists(path: str) -> bool:
        raise NotImplementedError


def _check_contents(directory: str, above: tuple[str, ...]) -> None:
    """Links are stored as what they lead to, so they lead to files, or to directories beside."""
    here = (*above, os.path.realpath(directory))
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir():
                if os.path.realpath(entry.path) in here:
                    raise ConversionError(f"{entry.path} is a link to a directory that holds it")
                _check_contents(entry.path, here)
            elif not entry.is_file():
                raise ConversionError(f"{entry.path} is no file, nor a link to one")


class FileType(_StoredType):
    tag = "FlyteFilePath"
    literal_type: ClassVar[Message] = {"blob": {}}
    type = File
    dimensionality = messages.SINGLE

    @staticmethod
    def _exists(path: str) -> bool:
        return os.path.isfile(path)


class DirectoryType(_StoredType):
    tag = "FlyteDirectory"
    literal_type: ClassVar[Message] = {"blob": {"dimensionality": messages.MULTIPART}}
    type = Directory
    dimensionality = messages.MULTIPART

    @staticmethod
    def _exists(path: str) -> bool:
        return os.path.isdir(path)
