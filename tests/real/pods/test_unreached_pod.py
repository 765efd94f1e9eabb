# SPDX-License-Identifier: Apache-2.0
"""A pod on an engine whose network can't be reached, as on macOS: here for one user alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from imagekit.engines.container import Docker
from imagekit.oci.assemble import Settings
from tests.conformance.pods.harness import finished, pod, script
from tests.fakes.images import busybox_image

pytestmark = [pytest.mark.docker, pytest.mark.busybox, pytest.mark.root, pytest.mark.slow]
USER = str(60_000 + os.getpid() % 5000)
RULE = ["pref", "50", "uidrange", f"{USER}-{USER}", "prohibit"]
AS_USER = ["setpriv", f"--reuid={USER}", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
_PROGRAM = "import sys; from imagekit.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def nowhere() -> Iterator[None]:
    """What does not stay on this machine's own addresses is prohibited to USER."""
    if shutil.which("ip") is None or shutil.which("setpriv") is None:
        pytest.fail("ip (iproute2) and setpriv (util-linux) are needed")
    subprocess.run(["ip", "rule", "add", *RULE], check=True)
    yield
    subprocess.run(["ip", "rule", "del", *RULE], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    name = Docker(os.environ).have(busybox_image(tmp_path, Settings(environment={"PATH": "/bin"})))
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)


def test_probes_use_published_ports(tmp_path: Path, image: str, nowhere: None) -> None:
    """A startup probe passes and a readiness probe fails, both through doors; the task runs."""
    del nowhere
    tcp = {"tcpSocket": {"port": 8081}, "periodSeconds": 1, "failureThreshold": 60}
    server = "sleep 1; httpd -p 8081 -h /etc; while :; do sleep 0.1; done"
    none = {"httpGet": {"port": 8082}, "periodSeconds": 1, "failureThreshold": 1}
    common = {"image": image}
    document = pod(
        "unreached",
        terminationGracePeriodSeconds=0,
        initContainers=[
            {
                **common,
                "name": "server",
                "command": script(server),
                "restartPolicy": "Always",
                "startupProbe": tcp,
                "readinessProbe": none,
            }
        ],
        containers=[{**common, "name": "task", "command": script("sleep 2; echo ran")}],
    )
    with subprocess.Popen(
        [*AS_USER, sys.executable, "-c", _PROGRAM, "pod", "run", "-", "--output", "json"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(yaml.safe_dump(document))
        process.stdin.close()
        process.stdin = None
        outcome = finished(process)
    assert any("probes use published ports" in note for note in outcome.notes)
    assert any(note.startswith("pod: server: is not ready: /: ") for note in outcome.notes)
    assert outcome.lines("task") == ["ran"]
    assert (outcome.phase, outcome.code) == ("Succeeded", 0)
