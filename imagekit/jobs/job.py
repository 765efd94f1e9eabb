# SPDX-License-Identifier: Apache-2.0
"""What is to be run in an image that is being built."""

from __future__ import annotations

from collections.abc import Mapping

from imagekit.values import frozen


@frozen
class Job:
    """A program that changes an image.

    Attributes:
        what: names it in errors.
        arguments: the program, an absolute path, and its arguments.
        environment: all variables that it sees.
        secrets: (file of this machine, absolute path in the image), there while it runs only.
        files: the same, of what is no secret.
        forget: patterns (fnmatch, relative) of paths whose changes are not kept.
    """

    what: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: tuple[tuple[str, str], ...] = ()
    forget: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    @property
    def mounted(self) -> tuple[tuple[str, str], ...]:
        """All that is there while it runs only."""
        return (*self.secrets, *self.files)
