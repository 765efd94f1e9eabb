# SPDX-License-Identifier: Apache-2.0
"""What workers said of themselves when they were asked: engines 20.10 and 28.5 in both stores."""

from __future__ import annotations

import pytest

from imagekit.buildkit.workers import Worker

LABELS = "org.mobyproject.buildkit.worker."
ENGINE_20 = Worker("moby", {}, ("linux/amd64", "linux/386"))
ENGINE_28 = Worker(
    "9235d995",
    {f"{LABELS}moby.host-gateway-ip": "172.17.0.1"},
    ("linux/amd64", "linux/amd64/v2"),
    "v0.0.0+unknown-moby",
)
ENGINE_28_CONTAINERD = Worker(
    "c99slopv",
    {f"{LABELS}moby.host-gateway-ip": "172.17.0.1", f"{LABELS}containerd.namespace": "moby"},
    ("linux/amd64",),
)


def buildkitd(version: str) -> Worker:
    return Worker("x", {f"{LABELS}executor": "oci"}, ("linux/amd64", "linux/arm64"), version)


@pytest.mark.parametrize("worker", [ENGINE_20, ENGINE_28])
def test_an_engine_with_its_old_store_gives_no_image_away(worker: Worker) -> None:
    """Which is said before anything is built."""
    assert "without the containerd image store" in " ".join(worker.lacks("linux/amd64"))


@pytest.mark.parametrize(
    "worker",
    [ENGINE_28_CONTAINERD, buildkitd("v0.11.0"), buildkitd("v0.26.2"), buildkitd("v1.0.0")],
)
def test_others_can_do_all_that_builds_need(worker: Worker) -> None:
    """An engine with containerd's store says no version, and needs none."""
    assert worker.lacks("linux/amd64") == []


@pytest.mark.parametrize("version", ["", "v0.8.3", "v0.10.6"])
def test_an_old_buildkitd_is_named_with_its_version(version: str) -> None:
    """Images of the session came with 0.11."""
    (line,) = buildkitd(version).lacks("linux/amd64")
    assert "need 0.11" in line


def test_a_platform_that_it_does_not_build_is_named() -> None:
    """Beside everything else that it lacks."""
    assert len(ENGINE_20.lacks("linux/arm64")) == 2
    assert "it can't build linux/arm64; it builds linux/amd64" in ENGINE_20.lacks("linux/arm64")[0]
