# SPDX-License-Identifier: Apache-2.0
"""What an engine is, and what it is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from imagekit.oci.image import Image
from imagekit.values import frozen


@frozen
class Mount:
    """A folder of this machine, seen at the absolute path `target` in the image."""

    source: Path
    target: str
    read_only: bool = False


@frozen
class Request:
    """One run: `arguments` follow the image's ENTRYPOINT, or replace its CMD.

    `environment` is laid over the image's own; `workdir` None is the image's.
    """

    image: Image
    arguments: Sequence[str]
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None


class Engine(Protocol):
    def probe(self) -> str | None:
        """None if this engine works here, tried for real; else what is missing."""

    def run(self, request: Request) -> int:
        """Run to the end, on our own stdin, stdout and stderr; returns the exit code.

        A program that a signal ended gives 128 plus its number. Raises EngineError if the
        program could not be started.
        """
