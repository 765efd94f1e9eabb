# SPDX-License-Identifier: Apache-2.0
"""Requirements from a repository behind a real sshd, as people reach their own."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagekit.lock.sources.host import glibc
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.unpack import unpack
from tests.fakes.images import bare_base
from tests.fakes.projects import commit, make_project
from tests.real.builds import Host, new_host

pytestmark = [pytest.mark.root, pytest.mark.sshd]

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/me.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


@dataclass(frozen=True)
class Server:
    """`folder` holds `me`, the key that it lets in, and `other`, that of somebody else."""

    folder: Path
    port: int

    def ssh(self, key: str = "me") -> Mapping[str, str]:
        """git's own variable for people with a key in a file of its own."""
        options = f"-F none -o UserKnownHostsFile={self.folder}/known -o BatchMode=yes"
        identity = f"-o IdentitiesOnly=yes -i {self.folder / key}" if key else ""
        return {"GIT_SSH_COMMAND": f"ssh {options} {identity}", "SSH_AUTH_SOCK": ""}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key in ("host", "me", "other"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run(command, check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        public = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"[127.0.0.1]:{port} {public}")
        (folder / "sshd").write_text(CONFIG.format(port=port, folder=folder))
        Path("/run/sshd").mkdir(exist_ok=True)
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sshd:
            try:
                assert sshd.stderr is not None
                said = [sshd.stderr.readline()]
                assert "Server listening" in said[0], said
                yield Server(folder, port)
            finally:
                sshd.terminate()


@pytest.fixture
def spec(tmp_path: Path, server: Server) -> Path:
    """On a base that has this machine's Python and glibc by name, as a build from source wants."""
    write_layout(bare_base(tmp_path, platform.python_version(), glibc()), tmp_path / "base")
    repository = make_project(tmp_path / "repository")
    commit(repository, "v1")
    url = f"git+ssh://{getpass.getuser()}@127.0.0.1:{server.port}{repository}@v1"
    path = tmp_path / "spec.yaml"
    path.write_text(
        "base_image: oci:base\nobject_storage: false\ncompile_bytecode: false\n"
        f"allow_build: true\npackages: ['thing @ {url}']\n"
    )
    return path


def host(folder: Path, environ: Mapping[str, str]) -> Host:
    made = new_host(folder)
    return Host(made.root, environ=environ)


def test_a_key_reaches_git_and_nothing_else(spec: Path, server: Server, tmp_path: Path) -> None:
    """The wheel is built here and locked by digest; another machine builds the same image of it."""
    one = host(tmp_path / "one", server.ssh())
    one.lock(spec)
    locked = spec.with_name("pylock.toml").read_text()
    assert f"ssh://{getpass.getuser()}@127.0.0.1:{server.port}" in locked
    digest = one.build(spec, f"oci:{tmp_path / 'image'}")
    other = host(tmp_path / "other", server.ssh())
    assert other.build(spec, f"oci:{tmp_path / 'again'}") == digest
    root = tmp_path / "root"
    root.mkdir()
    unpack(read_layout(tmp_path / "image"), root)
    assert [*root.rglob("thing.py")]
    secret = (server.folder / "me").read_bytes().splitlines()[2]
    assert len(secret) > 40
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 20
    assert not [path for path in files if secret in path.read_bytes()]


def test_an_agent_serves_too(spec: Path, server: Server, tmp_path: Path) -> None:
    """As for any other git command of the user's."""
    socket_path = server.folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.PIPE) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()
            environ = {**server.ssh(""), "SSH_AUTH_SOCK": str(socket_path)}
            command = ["ssh-add", "-q", str(server.folder / "me")]
            subprocess.run(command, env={**os.environ, **environ}, check=True)
            host(tmp_path / "one", environ).lock(spec)
        finally:
            agent.terminate()


def test_a_key_that_is_not_let_in_is_told(spec: Path, server: Server, tmp_path: Path) -> None:
    """With what git said, and no lock is left."""
    done = host(tmp_path / "one", server.ssh("other")).run("lock", spec)
    assert done.returncode != 0
    assert "git fetch: " in done.stderr
    assert "Permission denied (publickey)" in done.stderr
    assert not spec.with_name("pylock.toml").exists()
