# SPDX-License-Identifier: Apache-2.0
"""A Docker Engine of our own, on a disk of a chosen size, which a test may fill or kill.

It has a network namespace to itself, so that it leaves other engines' bridges alone, and one of
processes, so that nothing of it outlives it.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from imagekit.buildkit.endpoint import Endpoint
from imagekit.buildkit.engine import Engine
from imagekit.errors import EngineError

_START_SECONDS = 60.0


@contextlib.contextmanager
def small_engine(size_bytes: int) -> Iterator[tuple[Engine, Callable[[], None]]]:
    """The engine, and what kills it (SIGKILL) with all that it runs.

    Needs root, and `dockerd`. Its folder is short: sockets' paths have a limit.
    """
    root = Path(tempfile.mkdtemp(prefix="ik"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "imagekit-test"]
    data = root / "data"
    data.mkdir()
    subprocess.run([*mount, data], check=True)
    engine = Engine(Endpoint(f"unix://{root}/d.sock"))
    paths = [f"--data-root={data}", f"--exec-root={root}/exec", f"--pidfile={root}/pid"]
    options = ["--bridge=none", "--iptables=false", f"--host={engine.endpoint.url}", *paths]
    with (root / "log").open("wb") as log:
        alone = ["unshare", "--net", "--mount-proc", "--pid", "--fork", "--kill-child"]
        process = subprocess.Popen([*alone, "dockerd", *options], stdout=log, stderr=log)
    try:
        _wait(engine, process, root / "log")
        yield engine, process.kill
    finally:
        process.kill()
        process.wait()
        subprocess.run(["umount", "--lazy", data], check=True)
        shutil.rmtree(root, ignore_errors=True)


def _wait(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(EngineError):
            engine.api_version()
            return
        time.sleep(0.1)
    raise RuntimeError(f"dockerd did not start: {log.read_text()[-2000:]}")
