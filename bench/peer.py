# SPDX-License-Identifier: Apache-2.0
"""The peer: a Dockerfile with uv and cache mounts, on a local Docker Engine.

It stands on the same base, installs the same wheels by the same hashes, and ends with the image
in the engine; pushing it to a registry is timed apart, because only then it is compressed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uv

from bench.measure import Timing, timed
from imagekit.lock import file

_IMAGE = "imagekit-bench/peer"
_REGISTRY = "127.0.0.1:5017"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_DOCKERFILE = """\
FROM {base}
USER root
COPY uv /usr/local/bin/uv
COPY requirements.txt /tmp/requirements.txt
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \\
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_LINK_MODE=copy \\
    uv pip install --python /opt/venv --no-deps --require-hashes {options} -r /tmp/requirements.txt
COPY src /root
USER 1000:0
ENTRYPOINT ["/opt/venv/bin/python", "-m", "task"]
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """`program` is a docker client with BuildKit; `base` an image that the engine has."""

    program: str
    base: str
    folder: Path
    log: Path
    registry: str | None

    @property
    def _environ(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_BUILDKIT": "1"}

    def forget(self) -> None:
        """Empty the build cache, cache mounts and all."""
        subprocess.run([self.program, "rmi", "-f", self._name], check=False, capture_output=True)
        prune = [self.program, "builder", "prune", "--all", "--force"]
        subprocess.run(prune, check=True, capture_output=True)

    def push_base(self) -> None:
        """Untimed: the base is in every registry long before."""
        for command in (["tag", self.base, self._name], ["push", "--quiet", self._name]):
            subprocess.run([self.program, *command], check=True, capture_output=True)

    def build(self, spec: Path, *, bytecode: bool) -> Timing:
        context = self._context(spec, bytecode=bytecode)
        command = [self.program, "build", "--quiet", "--network=host", "--tag", self._name]
        if _CERTIFICATES.exists():
            command.append(f"--secret=id=ca,src={_CERTIFICATES}")
        return timed([*command, str(context)], self._environ, self.log)

    def push(self) -> Timing:
        return timed([self.program, "push", "--quiet", self._name], self._environ, self.log)

    @property
    def _name(self) -> str:
        return _IMAGE if self.registry is None else f"{self.registry}/{_IMAGE}"

    def _context(self, spec: Path, *, bytecode: bool) -> Path:
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(spec.parent / "src", context / "src")
        shutil.copy2(uv.find_uv_bin(), context / "uv")
        (lock,) = file.read(file.lock_path(spec)) or ()
        lines = [
            f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
            for wheel in lock.packages
        ]
        (context / "requirements.txt").write_text("".join(lines))
        options = "--compile-bytecode" if bytecode else ""
        text = _DOCKERFILE.format(base=self.base, options=options)
        (context / "Dockerfile").write_text(text)
        return context


def find_docker() -> str | None:
    """The first docker client on PATH that has BuildKit and reaches an engine."""
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if program is None:
            continue
        environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
        asked = ([program, "build", "--help"], [program, "version"])
        answers = [
            subprocess.run(command, env=environ, capture_output=True, check=False, text=True)
            for command in asked
        ]
        if "--secret" in answers[0].stdout and answers[1].returncode == 0:
            return program
    return None


def load_base(program: str, archive: Path) -> str:
    """Load a docker-archive; returns the image's name in the engine."""
    done = subprocess.run(
        [program, "load", "--input", archive], check=True, capture_output=True, text=True
    )
    return done.stdout.strip().rpartition(" ")[2]


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[str | None]:
    """An empty docker-registry of our own on loopback; None where the machine has none."""
    program = shutil.which("docker-registry")
    if program is None:
        yield None
        return
    storage = Path(tempfile.mkdtemp(prefix="registry-", dir=folder))
    configuration = storage / "config.yml"
    configuration.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\n"
        f"http: {{addr: '{_REGISTRY}'}}\n"
    )
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, "serve", configuration], stdout=quiet, stderr=quiet)
    try:
        yield _REGISTRY
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(storage)
