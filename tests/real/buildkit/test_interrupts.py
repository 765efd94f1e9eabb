# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a build where it runs, whichever tool carries it there."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.network]

SECONDS = 120.0


@pytest.mark.parametrize(
    ("builder", "number"),
    [
        ("docker", signal.SIGINT),
        ("docker", signal.SIGTERM),
        pytest.param("envd", signal.SIGTERM, marks=pytest.mark.envd),
    ],
)
def test_the_step_that_runs_is_ended_on_the_worker(
    host: Host, tmp_path: Path, builder: str, number: signal.Signals
) -> None:
    """And nothing of it is left running, however long it would have taken."""
    word = f"{secrets.randbelow(10**9)}.{secrets.randbelow(10**9)}"
    spec = {
        "name": "imagekit-test/interrupted",
        "python_version": "3.11",
        "object_storage": False,
        "builder": builder,
        "commands": [f"sleep {word}"],
    }
    if builder == "docker":
        spec["builder_options"] = {"network": "host"}
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    host.lock(tmp_path / "spec.yaml")
    building = host.start("build", "--locked", tmp_path / "spec.yaml")
    try:
        wait_until(lambda: running(word) or building.poll() is not None)
        assert running(word), building.communicate()
        building.send_signal(number)
        out, err = building.communicate(timeout=SECONDS)
    finally:
        building.kill()
    assert building.returncode != 0
    assert out == ""
    assert "Traceback" not in err
    wait_until(lambda: not running(word))
    assert not running(word)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)


def running(word: str) -> bool:
    """Whether any process of this machine, in whatever container, is the step's."""
    wanted = b"sleep\0" + word.encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(wanted):
                return True
        except OSError:
            continue
    return False
