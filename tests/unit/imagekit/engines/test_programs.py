# SPDX-License-Identifier: Apache-2.0
"""The programs docker and podman, where they are there and of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.builders.targets import EngineName, deliver
from imagekit.engines.container import ContainerEngine, Docker, Podman
from imagekit.errors import EngineError
from imagekit.registry.client import RegistryClient
from tests.fakes.images import file_layer, image_of


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """Variables under which `name` is that script."""
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize("engine", [Docker, Podman])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("#!/bin/sh\nexec /bin/sleep 60\n", "no answer within 0.5 seconds"),
        ("\x7fELF nonsense", "starting {}: Exec format error"),
        ("#!/bin/sh\necho first >&2\necho no daemon >&2\nexit 1\n", "no daemon"),
        ("#!/bin/sh\nexit 1\n", "it failed and did not say why"),
    ],
)
def test_a_program_of_no_use_is_said_in_one_line(
    tmp_path: Path, engine: type[ContainerEngine], script: str, expected: str
) -> None:
    """One that hangs, is for another machine, fails, or fails without a word."""
    environ = program(tmp_path, engine.program, script)
    assert engine(environ, probe_seconds=0.5).probe() == expected.format(engine.program)


def test_an_image_for_an_engine_says_why_it_can_not_be_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the place, as it was written."""
    environ = program(tmp_path, "docker", "#!/bin/sh\necho is it running? >&2\nexit 1\n")
    monkeypatch.setenv("PATH", environ["PATH"])
    image = image_of(file_layer(tmp_path, {"a": b""}))
    with pytest.raises(EngineError, match=r"docker-daemon:x:1: is it running\?"):
        deliver(image, EngineName("x:1"), "x:1", RegistryClient())
