# SPDX-License-Identifier: Apache-2.0
"""A Docker Engine with BuildKit, and a registry of our own: what builds are measured with."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Timing, timed

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Engine:
    """`program` is a docker client that has BuildKit."""

    program: str

    @property
    def environ(self) -> Mapping[str, str]:
        return {**os.environ, "DOCKER_BUILDKIT": "1"}

    def empty_cache(self) -> None:
        """The whole build cache goes, cache mounts and all."""
        prune = [self.program, "builder", "prune", "--all", "--force"]
        subprocess.run(prune, check=True, capture_output=True)

    def forget(self, prefix: str) -> None:
        """Remove every image whose name begins so."""
        listed = [self.program, "images", "--digests", "--format", "{{.Repository}} {{.ID}}"]
        done = subprocess.run(listed, check=True, capture_output=True, text=True)
        found = {line.split()[1] for line in done.stdout.splitlines() if line.startswith(prefix)}
        for image in sorted(found):
            subprocess.run([self.program, "rmi", "-f", image], check=False, capture_output=True)

    def pull(self, reference: str, log: Path) -> Timing:
        return timed([self.program, "pull", "--quiet", reference], os.environ, log)


@dataclass(frozen=True, slots=True)
class Registry:
    """`storage` is where it keeps its blobs."""

    address: str
    storage: Path

    @property
    def size_bytes(self) -> int:
        """All blobs, manifests among them: what they grow by is what was sent and was new."""
        blobs = self.storage / "docker/registry/v2/blobs"
        return sum(path.stat().st_size for path in blobs.rglob("data"))

    @property
    def images(self) -> int:
        """How many manifests it has."""
        return sum(1 for _ in self.storage.rglob("_manifests/revisions/sha256/*"))


def find_engine() -> Engine | None:
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
            return Engine(program)
    return None


@contextlib.contextmanager
def registry(folder: Path, address: str = "") -> Iterator[Registry]:
    """An empty docker-registry on loopback, on a free port unless it has to have an address."""
    program = shutil.which("docker-registry")
    if program is None:
        raise SystemExit("builds are pushed: docker-registry is needed on PATH")
    if not address:
        with socket.create_server(("127.0.0.1", 0)) as closing:
            address = f"127.0.0.1:{closing.getsockname()[1]}"
    storage = Path(tempfile.mkdtemp(prefix="registry-", dir=folder))
    configuration = storage / "config.yml"
    configuration.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, "serve", configuration], stdout=quiet, stderr=quiet)
    try:
        _wait_for(address, process)
        yield Registry(address, storage)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(storage)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
            return
        time.sleep(0.05)
    raise SystemExit("the registry ended")
