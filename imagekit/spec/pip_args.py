# SPDX-License-Identifier: Apache-2.0
"""`pip_extra_args`: the options of pip that decide a resolution, as uv spells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_FLAGS: Mapping[str, tuple[str, ...]] = {
    "--pre": ("--prerelease=allow",),
    "--prefer-binary": (),  # wheels are all that is taken
    "--no-cache-dir": (),  # what is downloaded is no part of an image
    "--no-cache": (),
}
_VALUES: Mapping[str, str] = {
    "-f": "--find-links",
    "--find-links": "--find-links",
    "--prerelease": "--prerelease",
    "--index-strategy": "--index-strategy",
    "--resolution": "--resolution",
    "--exclude-newer": "--exclude-newer",
    "--trusted-host": "--allow-insecure-host",
    "--allow-insecure-host": "--allow-insecure-host",
}
_FIELDS: Mapping[str, str] = {
    "-i": "pip_index",
    "--index-url": "pip_index",
    "--extra-index-url": "pip_extra_index_url",
    "-r": "requirements",
    "--requirement": "requirements",
    "--no-binary": "allow_build",
}


class UnknownArgumentError(ValueError):
    """An option that decides nothing here; `hint` names the field that does what it asks for."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def uv_options(text: str) -> tuple[str, ...]:
    """The options of uv that mean the same.

    Raises:
        UnknownArgumentError: one of them is none of those that are known.
    """
    import shlex  # noqa: PLC0415 - most specs have no arguments

    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise UnknownArgumentError(f"it does not read: {error}", "quote as a shell does") from error
    return tuple(option for word in words for option in _options(word, words))


def _options(word: str, rest: Iterator[str]) -> Iterator[str]:
    name, equals, value = word.partition("=")
    if word in _FLAGS:
        yield from _FLAGS[word]
    elif name in _VALUES:
        given = value if equals else next(rest, "")
        if not given:
            raise UnknownArgumentError(f"{name} lacks its value", f"write {name} VALUE")
        yield f"{_VALUES[name]}={given}"
    elif name in _FIELDS:
        raise UnknownArgumentError(f"{name} is a field of its own", f"use {_FIELDS[name]}")
    else:
        known = ", ".join(sorted({*_FLAGS, *_VALUES}))
        raise UnknownArgumentError(f"{name:.60} decides nothing of an image", f"known are {known}")
