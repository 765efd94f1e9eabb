# SPDX-License-Identifier: Apache-2.0
"""The peer that people write by hand: a Dockerfile with uv and cache mounts, built and pushed.

It stands on the same base and installs the same wheels by the same hashes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import uv

from bench.engine import CERTIFICATES, Engine
from bench.measure import Timing, timed
from imagekit.lock import file

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
    """`repository` is where it pushes; `base` an image that the engine and the registry have."""

    engine: Engine
    base: str
    repository: str
    folder: Path
    log: Path
    bytecode: bool
    name: str = "Dockerfile, uv"

    def forget(self) -> None:
        """The build cache is emptied by whoever asks all contestants to forget."""

    def build(self, spec: Path) -> Timing:
        context = self._context(spec)
        tag = self.reference(spec)
        command = [self.engine.program, "build", "--quiet", "--network=host", f"--tag={tag}"]
        if CERTIFICATES.exists():
            command.append(f"--secret=id=ca,src={CERTIFICATES}")
        built = timed([*command, str(context)], self.engine.environ, self.log)
        pushed = timed([self.engine.program, "push", "--quiet", tag], os.environ, self.log)
        return built + pushed

    def reference(self, spec: Path) -> str:
        return f"{self.repository}:{spec.parent.name}"

    def _context(self, spec: Path) -> Path:
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(spec.parent / "src", context / "src")
        shutil.copy2(uv.find_uv_bin(), context / "uv")
        lines = [f"{name} --hash=sha256:{sha256}\n" for name, sha256 in pinned(spec)]
        (context / "requirements.txt").write_text("".join(lines))
        options = "--compile-bytecode" if self.bytecode else ""
        text = _DOCKERFILE.format(base=self.base, options=options)
        (context / "Dockerfile").write_text(text)
        return context


def pinned(spec: Path) -> list[tuple[str, str]]:
    """Each wheel of the spec's lock as `NAME==VERSION`, and its digest."""
    (lock,) = file.read(file.lock_path(spec)) or ()
    return [(f"{wheel.name}=={wheel.version}", wheel.sha256) for wheel in lock.packages]


def load_base(engine: Engine, archive: Path, repository: str) -> str:
    """Load a docker-archive, and push it under `repository`; returns its name in the engine."""
    done = subprocess.run(
        [engine.program, "load", "--input", archive], check=True, capture_output=True, text=True
    )
    loaded = done.stdout.strip().rpartition(" ")[2]
    for command in (["tag", loaded, repository], ["push", "--quiet", repository]):
        subprocess.run([engine.program, *command], check=True, capture_output=True)
    return repository
