# SPDX-License-Identifier: Apache-2.0
"""What a user decides about reaching registries, and how patiently it is tried."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TypeVar

from imagekit import interrupts
from imagekit.errors import RegistryError
from imagekit.registry.errors import TransientError
from imagekit.values import frozen

_Result = TypeVar("_Result")


@frozen
class Pace:
    """How often something is tried, and how long is waited in between."""

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 60.0
    sleep: Callable[[float], object] = interrupts.pause

    def retrying(self, doing: str, attempt: Callable[[], _Result]) -> _Result:
        """Call `attempt` until it does not raise TransientError, at most `attempts` times.

        Raises:
            RegistryError: it never worked, or the server asks for more patience than there is.
        """
        for count in range(1, self.attempts + 1):
            try:
                return attempt()
            except TransientError as error:
                if count == self.attempts:
                    times = f", {count} times" if count > 1 else ""
                    raise RegistryError(f"{doing}: {error}{times}") from error
                self.wait(doing, count, error)
        raise AssertionError(doing)

    def wait(self, doing: str, count: int, error: TransientError) -> None:
        """Wait after failure number `count` for as long as the server asked, or our own guess."""
        wait = error.wait_seconds
        if wait is None:
            import random  # noqa: PLC0415 - most requests are answered at once

            # Doubling, with jitter so that many clients spread.
            wait = self.first_seconds * 2 ** (count - 1) * random.uniform(0.5, 1.5)  # noqa: S311
        elif wait > self.longest_seconds:
            raise RegistryError(
                f"{doing}: {error}, and the registry asks to wait {wait:.0f} seconds"
            ) from error
        self.sleep(min(wait, self.longest_seconds))


@frozen
class Access:
    """How registries are reached.

    Attributes:
        environ: proxies excepted, which are read from the process's own environment.
        ca_file: trusted for every registry, instead of the system's CAs.
        insecure_hosts: spoken to in plain HTTP; `HOST[:PORT]` as references have it.
        certificates: holds `HOST[:PORT]/{*.crt,client.cert,client.key}`.
        hints: a folder that keeps where blobs were pushed to, for the pushes after this process.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    ca_file: Path | None = None
    insecure_hosts: frozenset[str] = frozenset()
    certificates: Path = Path("/etc/docker/certs.d")
    hints: Path | None = None
    pace: Pace = Pace()
