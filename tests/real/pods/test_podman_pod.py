# SPDX-License-Identifier: Apache-2.0
"""One pod on Podman with what differs there; all rules are proved on it in `make real`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagekit.engines.container import Podman
from imagekit.oci.assemble import Settings
from imagekit.pods.sandbox import HOME_LABEL, home_of
from tests.conformance.pods.harness import Engine, pod
from tests.fakes.images import busybox_image

pytestmark = [pytest.mark.podman, pytest.mark.busybox]
SERVER = "trap 'echo stopped; exit 3' TERM; httpd -p 8080 -h /etc; while :; do sleep 0.05; done"
TASK = """
hostname; echo $HOSTNAME; df /memory | tail -1; stat -c '%g' /memory
cat /secret/key; wget -q -O - http://127.0.0.1:8080/group; exit 5
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    name = Podman(os.environ).have(busybox_image(tmp_path, Settings(environment={"PATH": "/bin"})))
    with ThreadPoolExecutor(1) as pool:
        yield Engine("podman", name, tmp_path / "cache", tmp_path, pool)
    subprocess.run(["podman", "image", "rm", "--force", name], check=True, capture_output=True)


def test_a_pod_runs_on_podman_and_leaves_nothing(engine: Engine) -> None:
    """A sidecar with a startup probe, a volume in memory with its size and group, a secret."""
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"key": "hush\n"}}
    volumes = [
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "3Mi"}},
        {"name": "secret", "secret": {"secretName": "s"}},
    ]
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    probe = {"httpGet": {"port": 8080, "path": "/group"}, "periodSeconds": 1}
    document = pod(
        "on-podman",
        securityContext={"fsGroup": 2000},
        volumes=volumes,
        initContainers=[
            engine.sidecar("server", SERVER, startupProbe={**probe, "failureThreshold": 60})
        ],
        containers=[engine.container("task", TASK, volumeMounts=mounts)],
    )
    outcome = engine.run(document, secret)
    host, variable, size, group, key, answer = outcome.lines("task")
    assert (host, variable) == ("on-podman", "on-podman")
    assert size.split()[:2] == ["tmpfs", "3072"]
    assert (group, key, answer) == ("2000", "hush", "root:x:0:")
    assert (outcome.phase, outcome.code, outcome.ended("server")["exitCode"]) == ("Failed", 5, 3)
    assert outcome.said[-1] == ("server", "stopped")
    assert left_over(engine) == []


def test_probes_that_can_not_come_in_are_an_error(engine: Engine) -> None:
    """They would ask this machine itself; a pod that nobody asks runs without a network."""
    probe = {"httpGet": {"port": 8080}}
    asked = pod("asked", containers=[engine.container("task", "true", readinessProbe=probe)])
    outcome = engine.run(asked, words=["--network", "none"])
    assert outcome.code == 8
    assert "error: probes can't come into the pod's network" in outcome.notes[-1]
    alone = pod("alone", containers=[engine.container("task", "echo ran")])
    assert engine.run(alone, words=["--network", "none"]).lines("task") == ["ran"]
    assert left_over(engine) == []


def left_over(engine: Engine) -> list[str]:
    """Containers, volumes and networks of this test's pods."""
    label = f"label={HOME_LABEL}={home_of(engine.cache / 'imagekit' / 'pods')}"
    listings = (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
    found = ""
    for listing in listings:
        command = ["podman", *listing, "--quiet", "--filter", label]
        found += subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return found.split()
