# SPDX-License-Identifier: Apache-2.0
"""The uv that installs wheels inside a build: this machine's own, or one for another processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from imagekit.errors import BuildError
from imagekit.layers.host import host_can_run
from imagekit.lock.uv import program, version
from imagekit.oci.scratch import scratch_directory
from imagekit.paths import cache_directory
from imagekit.progress import Progress
from imagekit.usage import used

_PLATFORMS = {"amd64": "x86_64-manylinux_2_17", "arm64": "aarch64-manylinux_2_17"}


def uv_for(platform: str, progress: Progress) -> Path:
    """Of the version that is installed here; downloaded once, from the user's own indexes.

    Raises BuildError where it is not to be had, and LockError where this machine has none.
    """
    architecture = platform.partition("/")[2]
    if host_can_run(architecture):
        return Path(program())
    path = cache_directory() / "tools" / f"uv-{version()}-{architecture}"
    if not used(path):
        task = progress.task(f"downloading uv {version()} for {platform}")
        with scratch_directory(path.parent) as folder:
            _install(f"uv=={version()}", _PLATFORMS[architecture], folder)
            os.replace(folder / "bin/uv", path)
        task.done()
    return path


def _install(requirement: str, python_platform: str, folder: Path) -> None:
    options = ["--quiet", "--no-deps", "--only-binary=:all:", f"--python={sys.executable}"]
    place = [f"--python-platform={python_platform}", f"--target={folder}"]
    command = [program(), "pip", "install", *options, *place, requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"downloading {requirement} for {python_platform}: {done.stderr.strip()[-1000:]}",
            hint="the steps of a build for that platform install wheels with it",
        )
