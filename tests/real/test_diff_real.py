# SPDX-License-Identifier: Apache-2.0
"""`imagekit diff` on what a Docker Engine says of an image."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.cli.main import main
from imagekit.oci.destinations import Destination, write_image
from imagekit.oci.layout import write_layout
from tests.fakes.images import host_image

pytestmark = pytest.mark.docker
NAMES = ("imagekit-diff-test:first", "imagekit-diff-test:second")


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[str]:
    """An image as a layout, and in the engine under the first name."""
    image = host_image(tmp_path)
    write_layout(image, tmp_path / "layout")
    write_image(image, Destination.parse(f"docker-archive:image.tar:{NAMES[0]}", tmp_path))
    docker("load", "--input", str(tmp_path / "image.tar"))
    try:
        yield f"oci:{tmp_path / 'layout'}"
    finally:
        for name in NAMES:
            with contextlib.suppress(subprocess.CalledProcessError):
                docker("rmi", "--force", name)


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_an_image_comes_back_from_an_engine_as_it_was(
    layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing differs, whatever form the engine keeps it in."""
    assert main(["diff", layout, f"docker-daemon:{NAMES[0]}", "--strict"]) == 0
    assert capsys.readouterr().out == "the images agree\n"


def test_what_a_container_changed_is_told_and_nothing_else(
    layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file written, one removed, a mode; the engine's own traces are allowed."""
    script = "cat /etc/group > /root/new; mkdir /root/folder; touch -d @5 /bin/ls"
    container = docker("create", "--user=0", "--entrypoint=/bin/sh", NAMES[0], "-c", script)
    try:
        docker("start", "--attach", container)
        docker("commit", container, NAMES[1])
    finally:
        docker("rm", "--force", container)
    assert main(["diff", layout, f"docker-daemon:{NAMES[1]}"]) == 1
    out = capsys.readouterr().out
    assert "  + root/folder\n  + root/new\n" in out
    assert "files (2)\n" in out
