# SPDX-License-Identifier: Apache-2.0
"""Where a pod's images come from, by a fake of the engine's program that has two of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from imagekit.engines.container import Docker
from imagekit.oci.store import Store
from imagekit.pods.images import find_images
from imagekit.pods.model import Container, Pod, Volume
from imagekit.pods.options import ImageFacts
from imagekit.pods.program import Program

FAKE = """#!/bin/sh
# A fake: `image inspect NAME` and `pull --quiet NAME` as docker answers them.
echo "$*" >> {log}
case "$*" in
  "image inspect here:1") echo '[{{"Id": "sha256:1", "Config": {{"Cmd": ["a"]}}}}]' ;;
  "image inspect bare:1") echo '[{{"Id": "sha256:2", "Config": null}}]' ;;
  "image inspect far:1") test -e {pulled} && echo '[{{"Id": "sha256:3", "Config": {{}}}}]' ;;
  "pull --quiet here:1") ;;
  "pull --quiet far:1") touch {pulled} ;;
  *) echo "no such image" >&2; exit 1 ;;
esac
"""


class Engine:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        program = folder / "docker"
        program.write_text(FAKE.format(log=self.log, pulled=folder / "pulled"))
        program.chmod(0o755)
        self.program = Program(Docker({"PATH": f"{folder}:/usr/bin:/bin"}))
        self.store = Store(folder / "store")
        self.said: list[str] = []

    def find(self, *containers: Container, **volumes: Volume) -> Any:
        known = {"known": ImageFacts("sha256:0")}
        pod = Pod("p", (), containers, volumes=volumes)
        return asyncio.run(find_images(self.program, pod, known, self.store, self.said.append))

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_what_the_engine_has_is_taken(engine: Engine) -> None:
    """Without a pull, and asked once for each image; known ones are not asked for."""
    found, problems = engine.find(
        Container("a", "here:1"), Container("b", "here:1"), Container("c", "bare:1"),
        Container("d", "known"),
    )  # fmt: skip
    assert (found["here:1"], problems) == (ImageFacts("sha256:1", command=("a",)), [])
    assert found["bare:1"] == ImageFacts("sha256:2")
    assert engine.asked() == ["image inspect here:1", "image inspect bare:1"]


def test_what_is_nowhere_is_pulled(engine: Engine) -> None:
    """Which is said, as it takes time."""
    found, problems = engine.find(Container("a", "far:1"))
    assert (found["far:1"].id, problems) == ("sha256:3", [])
    assert engine.said == ["pulling far:1"]


def test_always_pulls_what_is_there(engine: Engine) -> None:
    """And Never does not pull what is not."""
    volume = Volume("v", "image", {"reference": "far:1", "pullPolicy": "Never"})
    found, problems = engine.find(Container("a", "here:1", pull="Always"), v=volume)
    assert engine.asked()[0] == "pull --quiet here:1"
    assert "far:1" not in found
    assert problems == ["image far:1: not here, and its imagePullPolicy is Never"]


def test_what_cannot_be_had_is_a_problem_each(engine: Engine) -> None:
    """In the engine's words."""
    _, problems = engine.find(Container("a", "none:1"), Container("b", "none:2"))
    assert problems == ["image none:1: no such image", "image none:2: no such image"]
