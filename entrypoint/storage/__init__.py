# SPDX-License-Identifier: Apache-2.0
"""Where inputs come from and outputs go, by the URI's scheme.

A storage is anything with the three functions of `Storage`; the table names the module of each, so
that a task imports only the one that it uses. All that goes wrong is an OSError.
"""

from __future__ import annotations

from ..errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Protocol

    class Storage(Protocol):
        def fetch(self, uri: str) -> str:
            """A local path that holds the file or directory; FileNotFoundError if there is none."""

        def store(self, source: str | bytes, uri: str) -> None:
            """Put bytes, or a local file or directory, at the URI: whole, or not at all."""

        def clear(self, directory: str, names: Iterable[str]) -> None:
            """Remove these files, and what a killed writer left half written beside them."""


SCHEMES = {
    "": "local",
    "abfs": "objects",
    "abfss": "objects",
    "az": "objects",
    "azure": "objects",
    "file": "local",
    "gs": "objects",
    "http": "web",
    "https": "web",
    "s3": "objects",
    "s3a": "objects",
}
_OTHERS = "filesystems"
# A `?` or `#` there is part of a name.
_WITHOUT_QUERY = ("gs", "s3", "s3a")


def storage_for(uri: str) -> Storage:
    """The module for the URI's scheme; fsspec knows many more, where the image has it."""
    module = SCHEMES.get(scheme_of(uri), _OTHERS)
    storage: Storage = __import__(f"{__name__}.{module}", fromlist=["store"])
    return storage


def needed(package: str, uri: str) -> Any:
    """The package, or an error that says that the image lacks it."""
    try:
        return __import__(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UnsupportedError(
            f"{scheme_of(uri)}:// needs the package {package}, which this image does not have; "
            f"add it to the packages of the image's spec ({without_secrets(uri)})"
        ) from None


def scratch(uri: str) -> str:
    """A path of the same name as the URI's, in a fresh directory that ends with the process."""
    import atexit
    import shutil
    import tempfile

    directory = tempfile.mkdtemp(prefix="imagekit-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    name = without_secrets(uri).rstrip("/").rpartition("/")[2]
    return f"{directory}/{name or 'root'}"


def without_secrets(uri: str) -> str:
    """For texts: a URI's query may be a signature, its user a password."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() in ("", "file"):
        return uri
    path = rest if scheme.lower() in _WITHOUT_QUERY else rest.partition("?")[0].partition("#")[0]
    place, slash, path = path.partition("/")
    user, _, host = place.rpartition("@")
    # abfs://CONTAINER@ACCOUNT has no secret in it.
    if ":" in user or scheme.lower() in ("http", "https"):
        place = host
    return f"{scheme}://{place}{slash}{path}"


def redacted(text: str) -> str:
    """A text of somebody else's, with the URIs in it as above."""
    from re import sub

    return sub(
        r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+", lambda found: without_secrets(found[0]), text
    )


def scheme_of(uri: str) -> str:
    head, separator, _ = uri.partition("://")
    return head.lower() if separator else ""


def join(prefix: str, name: str) -> str:
    return f"{prefix.rstrip('/')}/{name}"
