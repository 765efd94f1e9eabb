# SPDX-License-Identifier: Apache-2.0
"""The program that holds a pod together, really run: here, and emulated."""

from __future__ import annotations

import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.errors import EngineError
from imagekit.oci.validate import validate
from imagekit.pods.pause import pause_image, program

NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
EMULATORS = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}


def write(architecture: str, folder: Path) -> str:
    path = folder / f"pause-{architecture}"
    path.write_bytes(program(architecture))
    path.chmod(0o755)
    return str(path)


def soon(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
@pytest.mark.qemu
def test_it_ignores_children_and_waits(architecture: str, tmp_path: Path) -> None:
    """Of its system calls there are two: SIGCHLD is ignored, and then it sleeps for ever."""
    emulator = EMULATORS[architecture]
    if shutil.which(emulator) is None:
        pytest.fail(f"no {emulator}, and qemu-user-static has both")
    with subprocess.Popen(
        [emulator, "-strace", write(architecture, tmp_path)], stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        words = [running.stderr.readline()]
        words.append(running.stderr.read(len(f"{running.pid} pause(")))
        assert running.poll() is None
        running.kill()
    assert "rt_sigaction(SIGCHLD," in words[0]
    assert "= 0" in words[0]
    assert words[1].split()[1].startswith(("pause(", "ppoll("))


@pytest.mark.skipif(not NATIVE, reason="no program for this machine's processor")
def test_it_lives_until_it_is_killed_and_leaves_no_zombie(tmp_path: Path) -> None:
    """As a process 1 would: orphans that come to it are reaped by the kernel."""
    adopted = (
        "import ctypes, os, sys, time\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER\n"
        "if os.fork() == 0:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        sys.stdin.read()\n"
        "        os._exit(0)\n"
        "    print(child, flush=True)\n"
        "    os._exit(0)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", adopted, write(NATIVE, tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        orphan = int(running.stdout.readline())
        exe = Path(f"/proc/{running.pid}/exe")
        soon(lambda: exe.resolve().name == f"pause-{NATIVE}")
        running.stdin.close()
        running.stdin = None
        soon(lambda: not Path(f"/proc/{orphan}").exists())
        assert running.poll() is None
        running.kill()
    assert running.returncode == -signal.SIGKILL


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_its_image_is_sound_and_always_the_same(architecture: str, tmp_path: Path) -> None:
    """So that an engine that has it is not given it again."""
    for name in "ab":
        (tmp_path / name).mkdir()
    image = pause_image(architecture, tmp_path / "a")
    validate(image)
    assert image.digest == pause_image(architecture, tmp_path / "b").digest
    assert len(program(architecture)) < 220


def test_other_processors_are_refused() -> None:
    """By name."""
    with pytest.raises(EngineError, match="pods can't be run on riscv64: amd64 or arm64"):
        program("riscv64")
