# SPDX-License-Identifier: Apache-2.0
"""`imagekit build`, as it is installed here, to an OCI layout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Timing, timed

_PROGRAM = "import sys; from imagekit.cli.main import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Ours:
    """`folder` keeps our caches and outputs; `prepare` makes it ready."""

    folder: Path
    log: Path

    @property
    def _bare(self) -> Path:
        """A cache that holds the base, and nothing else."""
        return self.folder / "bare"

    @property
    def base_archive(self) -> Path:
        """The image without packages, for `docker load`."""
        return self.folder / "base.tar"

    def prepare(self, specs: Sequence[Path], bare: Path) -> None:
        """Lock `specs`, and build `bare`, which has no packages, so that the base is there."""
        self.folder.mkdir(parents=True)
        self._run("lock", *specs, bare)
        self._run("build", bare, "--to", f"docker-archive:{self.base_archive}")

    def forget(self) -> None:
        """Back to a cache with nothing but the base; wheels will be downloaded again."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        ignored = shutil.ignore_patterns("*.lock")
        shutil.copytree(
            self._bare, self.folder / "cache", symlinks=True, copy_function=os.link, ignore=ignored
        )

    def build(self, spec: Path) -> Timing:
        target = self.folder / "image"
        shutil.rmtree(target, ignore_errors=True)
        command = [sys.executable, "-c", _PROGRAM, "build", "--locked", str(spec)]
        command += ["--to", f"oci:{target}"]
        return timed(command, self._variables(self.folder / "cache"), self.log)

    def _run(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-c", _PROGRAM, *map(str, arguments)]
        variables = self._variables(self._bare)
        subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)

    def _variables(self, cache: Path) -> dict[str, str]:
        own = {"XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(self.folder / "data")}
        return {**os.environ, **own}
