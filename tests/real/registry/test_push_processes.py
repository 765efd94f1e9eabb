# SPDX-License-Identifier: Apache-2.0
"""Builds that push, as processes: two of one image at once, and some that are killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.lock import file
from imagekit.oci.image import Image
from imagekit.oci.store import Store
from imagekit.oci.validate import validate
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.digest import spec_digest
from imagekit.spec.load import load_spec
from tests.fakes.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.fakes.registry_server import Server
from tests.real.builds import Host
from tests.unit.imagekit.builders.project import Project

pytestmark = pytest.mark.registry


class Machine:
    """A project of wheels made here, and the command line with caches of its own."""

    def __init__(self, project: Project, proxy: FaultProxy, name: str) -> None:
        self.proxy, self.project = proxy, project
        self.repository = f"{proxy.address}/{name}/thing"
        project.write_lock(*(project.wheel(f"part{number}") for number in range(6)))
        project.path.write_text(
            f"name: thing\nregistry: {proxy.address}/{name}\nbase_image: oci:base\n"
            "source_root: src\ncompile_bytecode: false\n"
        )
        digest = spec_digest(load_spec(project.path), project.root)
        lock = dataclasses.replace(project.lock(), spec_digest=digest)
        file.write(file.lock_path(project.path), [lock])

    def start(self, *words: str) -> subprocess.Popen[str]:
        return Host(self.project.root).start("build", self.project.path, *words)

    def run(self, *words: str) -> str:
        process = self.start(*words)
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        return output.strip()

    def wait_for(self, count: int, pattern: str, process: subprocess.Popen[str]) -> None:
        """Until so many requests were seen; fails where the process ends before."""
        while len(self.proxy.lines(pattern)) < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)


@pytest.fixture
def machine(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Machine]:
    name = "processes/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    with fault_proxy(server.address) as proxy:
        yield Machine(Project(tmp_path, monkeypatch), proxy, name)


def pulled(printed: str) -> Image:
    return RegistryClient().pull(RegistryReference.parse(printed))


def test_two_processes_push_one_image_at_once(machine: Machine) -> None:
    """On one cache, under one tag: both print the same, and what stands there is whole."""
    machine.proxy.faults.append(Fault("^(POST|PUT)", "slow", 8, seconds=0.1))
    processes = [machine.start("--push") for _ in range(2)]
    printed = []
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        printed.append(output.strip())

    assert printed[0] == printed[1]
    assert printed[0].startswith(f"{machine.repository}@sha256:")
    validate(pulled(printed[0]))


def assert_tags_are_images(server: Server, machine: Machine) -> None:
    """Whatever tag the registry keeps for the repository."""
    repository = machine.repository.partition("/")[2]
    tags = server.folder / "docker/registry/v2/repositories" / repository / "_manifests/tags"
    for tag in os.listdir(tags) if tags.exists() else ():
        validate(pulled(f"{machine.repository}:{tag}"))


@pytest.mark.parametrize(("count", "pattern"), [(1, "^POST"), (3, "^PUT.*blobs"), (1, "^PUT.*man")])
def test_killed_pushes(server: Server, machine: Machine, count: int, pattern: str) -> None:
    """Kill -9 leaves no tag without an image; the next run is right, and nothing is left over."""
    machine.proxy.faults.append(Fault("^(POST|PUT)", "slow", 1000, seconds=0.3))
    process = machine.start("--push")
    machine.wait_for(count, pattern, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    machine.proxy.faults.clear()
    assert_tags_are_images(server, machine)
    printed = machine.run("--push")

    validate(pulled(printed))
    assert not list(machine.project.cache.rglob("*.tmp"))


def test_a_store_outlives_killed_builds(machine: Machine) -> None:
    """What was stored before is whole, and so is what the next build stores."""
    first = machine.run().rpartition("@")[2]
    source = machine.project.root / "src" / "task.py"
    for number, seconds in enumerate((0.2, 0.4, 0.6, 0.8)):
        source.write_text(f"x = {number}")
        process = machine.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):  # a fast machine was done
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    second = machine.run().rpartition("@")[2]

    assert first != second
    for digest in (first, second):
        validate(Store().find(digest))
    assert not list((machine.project.root / "data").rglob("*.tmp"))
