# SPDX-License-Identifier: Apache-2.0
"""The builders of flytekit and of flyte 2, whole, before the engine's own BuildKit.

Both write a Dockerfile and call `docker` with buildx, for which `docker_shim.py` stands. Their base
is ours with what their Dockerfiles expect in one: uv, a bash, and flytekit's user.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import uv

from bench.engine import CERTIFICATES, Engine
from bench.measure import Timing, timed
from bench.peer import pinned
from imagekit.spec.load import load_spec

_PACKAGES = ("flytekit==1.16.31", "flyte==2.12.1")
_DOCKERFILE = """\
FROM {base}
USER root
COPY uv /uv
COPY uv /usr/bin/uv
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
RUN cp /bin/dash /bin/bash && mkdir -p /home /opt/flytekit \\
    && echo 'flytekit:x:1001:0::/opt/flytekit:/bin/bash' >> /etc/passwd
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""


@dataclass(frozen=True, slots=True)
class Generated:
    """`who` is flytekit or flyte; `folder` has been made ready by `install` and `make_base`."""

    who: str
    name: str
    engine: Engine
    base: str
    registry: str
    folder: Path
    log: Path

    def forget(self) -> None:
        """Flyte 2 remembers on disk which images it has seen."""
        shutil.rmtree(self._home, ignore_errors=True)

    def build(self, spec: Path) -> Timing:
        request = self.folder / f"{self.who}.json"
        content = {
            "name": f"imagekit-bench/{self.who}",
            "registry": self.registry,
            "base": self.base,
            "packages": _named(spec),
            "source": str(spec.parent / "src"),
        }
        request.write_text(json.dumps(content))
        self._home.mkdir(exist_ok=True)
        program = Path(__file__).with_name("imagespec.py")
        command: list[str | Path] = [_python(self.folder), program, self.who, request]
        return timed(command, self._environ(), self.log)

    @property
    def _home(self) -> Path:
        return self.folder / f"home-{self.who}"

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "BENCH_BASE": self.base,
            "BENCH_DOCKER": self.engine.program,
            "FLYTE_DOCKER_BUILDKIT_BUILDER_NAME": "engine",
            "HOME": str(self._home),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
        }


def install(folder: Path) -> None:
    """An environment with both, and the shim as `docker`."""
    program = uv.find_uv_bin()
    venv = folder / "venv"
    subprocess.run([program, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    pip = [program, "pip", "install", "--quiet", "--compile-bytecode", "--python"]
    subprocess.run([*pip, _python(folder), *_PACKAGES], check=True)
    (folder / "bin").mkdir()
    shim = folder / "bin" / "docker"
    target = Path(__file__).with_name("docker_shim.py")
    shim.write_text(f'#!/bin/sh\nexec {_python(folder)} {target} "$@"\n')
    shim.chmod(0o755)


def make_base(engine: Engine, base: str, folder: Path, repository: str) -> str:
    """Build and push the base of both; returns its name."""
    context = folder / "base"
    context.mkdir(exist_ok=True)
    shutil.copy2(uv.find_uv_bin(), context / "uv")
    if CERTIFICATES.exists():
        shutil.copy2(CERTIFICATES, context / "ca.crt")
    (context / "Dockerfile").write_text(_DOCKERFILE.format(base=base))
    build = [engine.program, "build", "--quiet", "--network=host", f"--tag={repository}"]
    environ = dict(engine.environ)
    subprocess.run([*build, str(context)], env=environ, check=True, capture_output=True)
    subprocess.run([engine.program, "push", "--quiet", repository], check=True, capture_output=True)
    return repository


def _named(spec: Path) -> list[str]:
    """What the spec itself names, as its lock pins it: flytekit adds itself, and its own needs."""
    names = load_spec(spec).packages
    return [pin for pin, _ in pinned(spec) if pin.partition("==")[0] in names]


def _python(folder: Path) -> Path:
    return folder / "venv" / "bin" / "python"
