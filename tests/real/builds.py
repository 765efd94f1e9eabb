# SPDX-License-Identifier: Apache-2.0
"""Runs `imagekit` as users do, in a process of its own, with caches of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout
from imagekit.paths import cache_directory

REPOSITORY = Path(__file__).parents[2]
_DIGEST = re.compile("[0-9a-f]{64}")
_PROGRAM = "import sys; from imagekit.cli.main import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Host:
    """Where a build runs: `root` holds its caches, `environ` is laid over ours.

    Attributes:
        code: the folder that holds the packages `imagekit` and `entrypoint`.
        prefix: a command that starts the interpreter.
    """

    root: Path
    code: Path = REPOSITORY
    python: str = sys.executable
    prefix: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.root / "cache" / "imagekit"

    @property
    def files(self) -> Path:
        """Where downloads are kept, by digest."""
        return self.cache / "files" / "sha256"

    @property
    def variables(self) -> dict[str, str]:
        own = {
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_DATA_HOME": str(self.root / "data"),
            "PYTHONPATH": str(self.code),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**os.environ, **own, **self.environ}

    def command(self, *arguments: str | Path) -> list[str]:
        return [*self.prefix, self.python, "-c", _PROGRAM, *map(str, arguments)]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.variables,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """The same in the background, as the leader of a process group."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.variables,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def lock(self, spec: Path) -> None:
        done = self.run("lock", spec)
        assert done.returncode == 0, done.stderr

    def build(self, spec: Path, *destinations: str) -> str:
        """Build from the lock that is there; returns the image's digest."""
        targets = [word for place in destinations for word in ("--to", place)]
        done = self.run("build", "--locked", spec, *targets)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().rpartition("@")[2]


def new_host(root: Path, downloads: Path | None = None, lock: Path | None = None) -> Host:
    """A machine on which nothing was built yet.

    Args:
        root: where it keeps its caches.
        downloads: files that it has already.
        lock: only those that this lock names.
    """
    host = Host(root)
    host.files.mkdir(parents=True)
    found = [] if downloads is None else sorted(os.listdir(downloads))
    wanted = set(found) if lock is None else set(_DIGEST.findall(lock.read_text("utf-8")))
    for name in found:
        if name in wanted and not name.startswith("."):
            link_or_copy(Path(str(downloads), name), host.files / name)
    return host


def shared_downloads() -> Path | None:
    """What this user downloaded before: tests need not do it again."""
    files = cache_directory() / "files" / "sha256"
    return files if files.is_dir() else None


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def layers_of(layout: Path) -> list[tuple[str, str]]:
    """What made each layer, and its digest: shows at once which layers two builds differ in."""
    image = read_layout(layout)
    return list(zip(history_of(image), (layer.digest for layer in image.layers), strict=True))


def history_of(image: Image) -> list[str]:
    return [entry.text("created_by") for entry in image.config.objects("history")]
