# SPDX-License-Identifier: Apache-2.0
"""The runtime as PID 1 of real containers: stopped, killed, starved, and without what most have."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entrypoint.errors import NON_RECOVERABLE, RECOVERABLE, SYSTEM, USER
from entrypoint.wire.protobuf import decode, encode
from imagekit.builders.zipapp import write_zipapp
from tests.real.builds import new_host, shared_downloads
from tests.unit.entrypoint.workdir import literal

pytestmark = [pytest.mark.docker, pytest.mark.network]

SPEC = "name: tests/runtime\npython_version: '3.11'\nobject_storage: false\n"
BARE = (
    *("--read-only", "--user", "54321:54321", "--network", "none", "--cap-drop", "ALL"),
    *("-e", "HOME=/nonexistent", "-e", "PYTHONPATH=/job/lib", "-e", "KEEP_IN=/out"),
)


@dataclass
class Container:
    """How a task of tasks.py is run in the image, and what it left in its output folder."""

    image: str
    work: Path
    out: Path
    name: str

    def command(self, task: str, *options: str, words: tuple[str, ...] = ()) -> list[str]:
        return [
            *("docker", "run", "--rm", "--name", self.name, "--workdir", "/job"),
            *("-v", f"{self.work}:/job:ro", "-v", f"{self.out}:/out", *options, self.image),
            *(*words, "execute", "--inputs", "/job/inputs.pb", "--output-prefix", "/out/r"),
            *("--", "task-module", "tasks", "task-name", task),
        ]

    def run(self, task: str, *options: str, words: tuple[str, ...] = ()) -> Any:
        command = self.command(task, *options, words=words)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def start(self, task: str, *options: str, last: str = "started\n") -> subprocess.Popen[str]:
        """Returns once the task has printed this."""
        running = subprocess.Popen(
            self.command(task, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert running.stdout is not None
        seen = ""
        while last not in seen:
            line = running.stdout.readline()
            assert line, seen
            seen += line
        return running

    def stop(self, seconds: int) -> None:
        subprocess.run(
            ["docker", "stop", "--time", str(seconds), self.name], check=True, capture_output=True
        )

    def record(self, name: str) -> Any:
        kind = "LiteralMap" if name == "outputs.pb" else "ErrorDocument"
        return decode(kind, (self.out / "r" / name).read_bytes())

    def error(self) -> Any:
        assert not (self.out / "r" / "outputs.pb").exists()
        return self.record("error.pb")["error"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("runtime")
    (folder / "spec.yaml").write_text(SPEC)
    host = new_host(folder / "host", shared_downloads())
    host.lock(folder / "spec.yaml")
    host.build(folder / "spec.yaml", f"docker-archive:{folder / 'image.tar'}")
    done = subprocess.run(
        ["docker", "load", "--input", folder / "image.tar"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.strip().rpartition(" ")[2]
    yield loaded
    subprocess.run(["docker", "rmi", "--force", loaded], check=True, capture_output=True)


@pytest.fixture
def container(image: str, tmp_path: Path) -> Iterator[Container]:
    work, out = tmp_path / "work", tmp_path / "out"
    (work / "lib").mkdir(parents=True)
    out.mkdir()
    out.chmod(0o777)
    shutil.copy(Path(__file__).with_name("tasks.py"), work)
    (work / "lib" / "entrypoint.py").write_text("def mine(x):\n    return x + 1\n")
    inputs = encode("LiteralMap", {"literals": {"x": literal(41)}})
    (work / "inputs.pb").write_bytes(inputs)
    name = f"runtime-{tmp_path.name[:40]}-{os.getpid()}"
    yield Container(image, work, out, name)
    subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)


LIBRARY = ("-e", "PYTHONPATH=/job/lib")


@pytest.mark.parametrize("options", [(), ("--init",)], ids=["pid 1", "under init"])
@pytest.mark.parametrize("task", ["sleeps", "stuck"])
def test_a_stopped_task_leaves_a_recoverable_document(
    container: Container, task: str, options: tuple[str, ...]
) -> None:
    """`docker stop`, with the task in Python or deep in C: 143, long before the engine kills."""
    with container.start(task, *LIBRARY, "-e", "IMAGEKIT_GRACE=1", *options) as running:
        container.stop(60)
        assert running.wait(timeout=60) == 143
    error = container.error()
    assert (error["kind"], error["origin"]) == (RECOVERABLE, SYSTEM)
    assert error["code"] == "SYSTEM:Interrupted"


def test_no_grace_is_a_kill_at_once_with_a_document(container: Container) -> None:
    """A grace of 0 seconds is no time for the task, and still enough for its record."""
    with container.start("stuck", *LIBRARY, "-e", "IMAGEKIT_GRACE=0") as running:
        container.stop(60)
        assert running.wait(timeout=60) == 143
    assert container.error()["code"] == "SYSTEM:Interrupted"


def test_fifty_orphans_are_reaped_and_no_exit_code_is_taken(container: Container) -> None:
    """No zombie is left while the task runs, and its own child's 7 is its own."""
    done = container.run("daemons", *LIBRARY)
    assert done.returncode == 0, done.stderr
    assert container.record("outputs.pb")["literals"]["o0"] == literal(7000)


def test_what_was_printed_survives_a_sigkill_of_the_container(container: Container) -> None:
    """Every line, and the one that has no end yet."""
    words = "the last words, without a newline"
    with container.start("chatty", *LIBRARY, last="line 19999\n") as running:
        assert running.stdout is not None
        assert running.stdout.read(len(words)) == words
        subprocess.run(["docker", "kill", container.name], check=True, capture_output=True)
        assert running.wait(timeout=60) == 137
    assert not (container.out / "r").exists()


def test_a_task_killed_for_memory_leaves_a_document(container: Container) -> None:
    """The kernel kills the largest process, which is the task's, and the supervisor tells."""
    done = container.run("hungry", *LIBRARY, "--memory", "64m", "--memory-swap", "64m")
    assert done.returncode == 137, done.stderr
    error = container.error()
    assert (error["code"], error["kind"]) == ("SYSTEM:Killed", RECOVERABLE)
    assert "memory" in error["message"]


@pytest.mark.parametrize("form", ["installed", "zipapp"])
@pytest.mark.parametrize("scratch", [(), ("--tmpfs", "/tmp:ro")], ids=["tmp", "no tmp"])
def test_it_needs_nothing_but_its_output_prefix(
    container: Container, form: str, scratch: tuple[str, ...]
) -> None:
    """A read-only root, a user that nobody knows, no home, no /tmp, a user's own `entrypoint`."""
    options: tuple[str, ...] = (*BARE, *scratch)
    words: tuple[str, ...] = ()
    if form == "zipapp":
        write_zipapp(container.work / "imagekit.pyz")
        options = (*options, "--entrypoint", "/usr/bin/python3")
        words = ("-I", "/job/imagekit.pyz")
    done = container.run("add", *options, words=words)
    assert done.returncode == 0, done.stderr
    assert container.record("outputs.pb")["literals"]["o0"] == literal(42)

    done = container.run("kept", *options, words=words)
    assert done.returncode == 0, done.stderr
    uri = container.record("outputs.pb")["literals"]["o0"]["scalar"]["blob"]["uri"]
    assert (container.out / Path(uri).relative_to("/out")).read_text() == "41"

    assert container.run("raises", *options, words=words).returncode == 10
    error = container.error()
    assert (error.get("kind", 0), error["origin"]) == (NON_RECOVERABLE, USER)
    assert 'File "/job/tasks.py"' in error["message"]
