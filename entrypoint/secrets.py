# SPDX-License-Identifier: Apache-2.0
"""Secrets: environment first, then files, where Flyte puts them; and keeping them out of our texts.

The secret KEY of GROUP in VERSION is the variable `_FSEC_GROUP_VERSION_KEY` (upper case) or the
file `/etc/secrets/group/version/key` (lower case); parts that are not given are left out. The
variables FLYTE_SECRETS_ENV_PREFIX, FLYTE_SECRETS_DEFAULT_DIR and FLYTE_SECRETS_FILE_PREFIX change
the prefixes. Bytes come exactly as they are; text without one newline at its end.
"""

from __future__ import annotations

import os

from .errors import UserError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MASK = "[secret]"
# Shorter ones are also parts of ordinary words.
SHORTEST_MASKED = 5
FILE_LIMIT = 64 << 10
FILES_LIMIT = 1000
_used: list[bytes] = []


class Secrets:
    """Looks up what the task's pod was given."""

    __slots__ = ("directory", "environ", "file_prefix", "prefix")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.prefix = environ.get("FLYTE_SECRETS_ENV_PREFIX", "_FSEC_")
        self.directory = environ.get("FLYTE_SECRETS_DEFAULT_DIR") or "/etc/secrets"
        self.file_prefix = environ.get("FLYTE_SECRETS_FILE_PREFIX", "")

    def get(self, key: str, *, group: str | None = None, version: str | None = None) -> str:
        """The secret as text, without the newline that editors leave at its end.

        Raises:
            UserError: There is no such secret; the places that were looked at are named.
        """
        value = self.get_bytes(key, group=group, version=version)
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise UserError(f"secret {key} is not text; use get_bytes", "USER:Secret") from None
        return text.removesuffix("\n").removesuffix("\r")

    def get_bytes(self, key: str, *, group: str | None = None, version: str | None = None) -> bytes:
        """The secret's bytes, exactly."""
        parts = [part for part in (group, version) if part]
        name = self.prefix + "_".join([*parts, key]).upper()
        value = self.environ.get(name)
        if value is not None:
            return _remember(os.fsencode(value))
        folders = [part.lower() for part in parts]
        path = os.path.join(self.directory, *folders, self.file_prefix + key.lower())
        try:
            with open(path, "rb") as file:
                return _remember(file.read())
        except OSError as error:
            raise UserError(
                f"no secret {key}: {name} is not set, and reading {path}: {error.strerror}",
                "USER:Secret",
            ) from None

    def values(self) -> Iterator[bytes]:
        """Those that lie ready, whether or not the task looked them up."""
        for name, value in self.environ.items():
            if self.prefix and name.startswith(self.prefix):
                yield os.fsencode(value)
        count = 0
        for folder, _, names in os.walk(self.directory):
            for name in names:
                count += 1
                if count > FILES_LIMIT:
                    return
                yield from _small_file(os.path.join(folder, name))


def _remember(value: bytes) -> bytes:
    _used.append(value)
    return value


def _small_file(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield file.read(FILE_LIMIT)
    except OSError:
        return


def masked(text: str, environ: Mapping[str, str]) -> str:
    """The text without the values of secrets, longest first; of long ones each line by itself."""
    forms: set[str] = set()
    for value in (*_used, *Secrets(environ).values()):
        decoded = value.decode("utf-8", "surrogateescape")
        for form in (decoded, decoded.strip(), *decoded.splitlines()):
            forms |= {form, repr(form)[1:-1]}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= SHORTEST_MASKED:
            text = text.replace(form, MASK)
    return text
