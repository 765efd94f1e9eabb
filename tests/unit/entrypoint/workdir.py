# SPDX-License-Identifier: Apache-2.0
"""A working directory with task modules, and the runtime started in it as an image starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrypoint.wire.protobuf import decode, encode

MAIN = Path(__file__).parents[3] / "entrypoint" / "__main__.py"
FLYTE_RESOLVER = "flytekit.core.python_auto_container.default_task_resolver"


def literal(value: Any) -> dict[str, Any]:
    kinds = {bool: "boolean", int: "integer", float: "float_value", str: "string_value"}
    return {"scalar": {"primitive": {kinds[type(value)]: value}}}


@dataclass
class Workdir:
    """The container's WORKDIR. `environ` is all that the runtime gets of the environment."""

    path: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})

    @property
    def prefix(self) -> Path:
        return self.path / "out"

    def module(self, name: str, text: str) -> None:
        (self.path / f"{name}.py").write_text(text)

    def inputs(self, values: Mapping[str, Any]) -> None:
        literals = {name: literal(value) for name, value in values.items()}
        (self.path / "inputs.pb").write_bytes(encode("LiteralMap", {"literals": literals}))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-I", str(MAIN), *words]

    def execute_words(self, task: str, *options: str, verb: str = "execute") -> list[str]:
        module, _, name = task.partition(":")
        resolver = ("--", "task-module", module, "task-name", name)
        where = ("--inputs", "inputs.pb", "--output-prefix", str(self.prefix))
        return [verb, *where, *options, *resolver]

    def run(self, *words: str, environ: Mapping[str, str] | None = None) -> Result:
        done = subprocess.run(
            self.command(*words),
            cwd=self.path,
            env={**self.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def execute(
        self,
        task: str,
        *options: str,
        verb: str = "execute",
        environ: Mapping[str, str] | None = None,
    ) -> Result:
        return self.run(*self.execute_words(task, *options, verb=verb), environ=environ)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.path,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outputs(self) -> dict[str, Any]:
        return decode("LiteralMap", (self.prefix / "outputs.pb").read_bytes())

    def error(self) -> dict[str, Any]:
        """The document's error; that no outputs stand beside it is part of reading it."""
        assert not (self.prefix / "outputs.pb").exists()
        document = decode("ErrorDocument", (self.prefix / "error.pb").read_bytes())
        error: dict[str, Any] = document["error"]
        return error


@dataclass(frozen=True)
class Result:
    code: int
    stdout: str
    stderr: str
