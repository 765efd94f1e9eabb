# SPDX-License-Identifier: Apache-2.0
"""Contexts larger than the memory that anybody would give them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.real.builds import REPOSITORY, Host

pytestmark = pytest.mark.docker

PROGRAM = """
import os, sys
from pathlib import Path
from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.transport import open_transport
from imagekit.buildkit.tree import Entry
from imagekit.files import sha256_of

class Listener:
    def hear(self, event):
        pass

path = Path(sys.argv[1])
entry = Entry("f", 0o644, path, None, path.stat().st_size, sha256_of(path))
transport = open_transport("docker", os.environ)
dockerfile = (Entry.made("Dockerfile", b"FROM scratch\\nCOPY f /\\n"),)
offer = Offer({"dockerfile": dockerfile, "context": (entry,)}, shared_key=sys.argv[2])
solve(transport, Request(), offer, Listener())
path.unlink()
solve(transport, Request(), offer, Listener())
transport.close()
# Not ru_maxrss: that counts the parent's memory, from before this program was loaded.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) >> 10)
"""


@pytest.mark.parametrize("size_mb", [64, pytest.param(2048, marks=pytest.mark.slow)])
def test_a_large_file_is_never_held_whole_nor_sent_twice(tmp_path: Path, size_mb: int) -> None:
    """The second build does not miss the file, which is gone; memory stays what it was."""
    with (tmp_path / "f").open("wb") as stream:
        stream.write(os.urandom(64))
        stream.truncate(size_mb << 20)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "f", uuid.uuid4().hex],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 128


@pytest.mark.network
@pytest.mark.strace
@pytest.mark.slow
def test_what_is_ignored_is_not_read(host: Host, tmp_path: Path) -> None:
    """Of a thousand small files each is opened twice, and a huge ignored one never."""
    source = tmp_path / "src"
    (source / "ignored").mkdir(parents=True)
    with (source / "ignored/huge").open("wb") as stream:
        stream.truncate(2 << 30)
    for number in range(1000):
        (source / f"{number:04}").write_text(str(number))
    (tmp_path / ".dockerignore").write_text("src/ignored\n")
    spec = {
        "name": "imagekit-test/ignored",
        "python_version": "3.11",
        "object_storage": False,
        "source_root": "src",
        "builder": "docker",
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    host.lock(tmp_path / "spec.yaml")
    log = tmp_path / "log"
    trace = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=openat", "-o", str(log)]
    command = [*trace, *host.command("build", "--locked", tmp_path / "spec.yaml")]
    done = subprocess.run(command, env=host.variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    subprocess.run(["docker", "rmi", "--force", done.stdout.split()[0]], check=True)
    opened = re.findall(f'"{source}/([^"]*)"', log.read_text())
    assert [path for path in opened if path.startswith("ignored/")] == []
    # Once for its digest, and once to be sent.
    assert len([path for path in opened if path.isdigit()]) == 2000
