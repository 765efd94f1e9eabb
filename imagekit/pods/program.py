# SPDX-License-Identifier: Apache-2.0
"""`docker` or `podman` for a pod's runner: many calls at a time, none of which blocks the others.

The programs and not the engine's API, for the reasons in docs/decisions/0005-engines.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagekit.engines.container import ContainerEngine
from imagekit.errors import EngineError
from imagekit.pods.dialect import DIALECTS
from imagekit.values import frozen


@frozen
class Answer:
    code: int
    out: bytes
    errors: bytes

    @property
    def first_line(self) -> str:
        """Of the errors: where a start fails, that is the reason, and a summary follows."""
        return self.errors.decode(errors="replace").strip().partition("\n")[0]

    @property
    def last_line(self) -> str:
        lines = self.errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self.code}"


class Program:
    """One engine's command line."""

    def __init__(self, engine: ContainerEngine) -> None:
        self.engine = engine
        self.dialect = DIALECTS[engine.program]

    @property
    def name(self) -> str:
        return self.engine.program

    async def start(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        errors: int = asyncio.subprocess.PIPE,
        folder: Path | None = None,
    ) -> asyncio.subprocess.Process:
        """In a session of its own: a terminal's Ctrl-C is for us alone."""
        return await asyncio.create_subprocess_exec(
            self.name,
            *arguments,
            env={**self.engine.environ, **(environ or {})},
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            start_new_session=True,
        )

    async def ask(
        self, *arguments: str, environ: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> Answer:
        """Run to the end; the program is killed if we are cancelled."""
        stdin = asyncio.subprocess.DEVNULL if data is None else asyncio.subprocess.PIPE
        process = await self.start(*arguments, environ=environ, stdin=stdin)
        try:
            out, errors = await process.communicate(data)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return Answer(process.returncode or 0, out, errors)

    async def do(
        self, *arguments: str, environ: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> str:
        """The same where it has to succeed; what it printed. Raises EngineError."""
        answer = await self.ask(*arguments, environ=environ, data=data)
        if answer.code:
            words = " ".join(arguments[:2] if arguments[1:] else arguments)
            raise EngineError(f"{self.name} {words}: {answer.last_line}")
        return answer.out.decode(errors="replace").strip()

    async def inspect(self, kind: str, names: Sequence[str]) -> list[Any]:
        """All that is known of each; raises EngineError where one is missing.

        Whole, as the two programs understand different things by `--format`.
        """
        if not names:
            return []
        found: list[Any] = json.loads(await self.do(kind, "inspect", *names))
        return found
