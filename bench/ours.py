# SPDX-License-Identifier: Apache-2.0
"""`imagekit build --push`, as it is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Timing, timed

_PROGRAM = "import sys; from imagekit.cli.entry import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Ours:
    """`folder` keeps our caches and outputs; `prepare` makes it ready."""

    folder: Path
    log: Path
    name: str = "imagekit"

    @property
    def _bare(self) -> Path:
        """Caches of a machine that has made the base, and nothing else."""
        return self.folder / "bare"

    @property
    def base_archive(self) -> Path:
        """The image without packages, for `docker load`."""
        return self.folder / "base.tar"

    def prepare(self, specs: Sequence[Path], bare: Path) -> None:
        """Lock `specs`, and build `bare`, which has no packages, so that the base is there."""
        self.folder.mkdir(parents=True)
        self.run("lock", *specs, bare, home=self._bare)
        self.run("build", bare, "--push", home=self._bare)
        self.run("build", bare, "--to", f"docker-archive:{self.base_archive}", home=self._bare)

    def forget(self) -> None:
        """Back to a machine with nothing but the base; wheels will be downloaded again."""
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        ignored = shutil.ignore_patterns("*.lock")
        shutil.copytree(
            self._bare, self.folder / "home", symlinks=True, copy_function=os.link, ignore=ignored
        )

    def forget_all(self) -> None:
        """Become a machine that has made nothing: what it does not make is in the registry."""
        shutil.rmtree(self.folder / "home", ignore_errors=True)

    def build(self, spec: Path) -> Timing:
        return self.time("build", spec, "--push")

    def time(self, *arguments: str | Path) -> Timing:
        """Run the program once, as people do: it may write the lock that it was given."""
        command = [sys.executable, "-I", "-c", _PROGRAM, *map(str, arguments)]
        return timed(command, self._variables(self.folder / "home"), self.log)

    def run(self, *arguments: str | Path, home: Path | None = None) -> str:
        """What the program prints; untimed."""
        command = [sys.executable, "-I", "-c", _PROGRAM, *map(str, arguments)]
        variables = self._variables(home or self.folder / "home")
        with self.log.open("ab") as sink:
            done = subprocess.run(
                command, env=variables, check=True, stdout=subprocess.PIPE, stderr=sink, text=True
            )
        return done.stdout

    def reference(self, spec: Path) -> str:
        """Where the image of `spec` went, by its digest."""
        return self.run("build", spec, "--push").strip()

    def _variables(self, home: Path) -> dict[str, str]:
        own = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "DATA", "STATE")}
        # What is installed has its bytecode, whatever the shell that measures wants.
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, **own}
