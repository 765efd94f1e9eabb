# SPDX-License-Identifier: Apache-2.0
"""Bytecode for another processor, beside what an interpreter of that processor makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.debian.assemble import download_debs, resolve_base
from imagekit.debian.sources import find_mirrors
from imagekit.debian.store import unpack_tree
from imagekit.debian.tree import Tree
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.host import host_can_run
from imagekit.oci.destinations import Destination, read_all
from imagekit.oci.index import images_of
from imagekit.oci.validate import validate
from tests.real.builds import new_host, shared_downloads

_EVERY = 12
_EMULATOR = "qemu-aarch64-static"


def unpacked(platform: str) -> Tree:
    mirrors = find_mirrors(os.environ)
    base = resolve_base("3.11", platform, mirrors)
    return unpack_tree(base, download_debs(base, mirrors))


def emulated(root: Path, copy: Path) -> Path:
    """The base `root` of arm64, in which this machine's loader is a script that emulates it."""
    subprocess.run(["cp", "-al", root, copy], check=True)
    (copy / "usr" / "lib64").mkdir(exist_ok=True)
    libraries = copy / "usr" / "lib" / "aarch64-linux-gnu"
    loader = copy / "usr" / "lib64" / "ld-linux-x86-64.so.2"
    loader.write_text(
        f"#!/bin/sh\nshift 2\nexec {shutil.which(_EMULATOR)} "
        f'{copy}/lib/ld-linux-aarch64.so.1 --library-path {libraries} "$@"\n'
    )
    loader.chmod(0o755)
    if not (copy / "lib64").exists():
        (copy / "lib64").symlink_to("usr/lib64")
    return copy


def compiled(root: Path, sources: Mapping[str, bytes]) -> dict[str, bytes | None]:
    with BytecodeCompiler(root, "/usr/bin/python3.11") as compiler:
        return dict(compiler.compile(sources.items()))


@pytest.mark.network
@pytest.mark.qemu
@pytest.mark.skipif(not host_can_run("amd64"), reason="the other processor is emulated on amd64")
def test_the_same_python_writes_the_same_bytecode_on_both_processors(tmp_path: Path) -> None:
    """Debian's interpreter for amd64 and its build for arm64, on modules of its library."""
    amd64, arm64 = unpacked("linux/amd64").root, unpacked("linux/arm64").root
    library = sorted((amd64 / "usr/lib/python3.11").rglob("*.py"))[::_EVERY]
    sources = {str(path.relative_to(amd64)): path.read_bytes() for path in library}
    ours = compiled(amd64, sources)
    theirs = compiled(emulated(arm64, tmp_path / "arm64"), sources)

    assert len(ours) > 40
    assert None not in ours.values()
    assert ours == theirs


@pytest.mark.network
@pytest.mark.slow
def test_one_platform_alone_is_the_same_image_as_among_several(tmp_path: Path) -> None:
    """Whichever interpreter compiled it: pinned by the lock, or found in Debian's lists."""
    both = tmp_path / "both.yaml"
    both.write_text("platform: [linux/amd64, linux/arm64]\npackages: [iniconfig]\n")
    alone = tmp_path / "alone.yaml"
    alone.write_text("platform: linux/arm64\npackages: [iniconfig]\n")
    host = new_host(tmp_path / "host", shared_downloads())
    fresh = new_host(tmp_path / "fresh", shared_downloads())
    for machine, spec in ((host, both), (fresh, alone)):
        machine.lock(spec)
        machine.build(spec, f"oci:{spec.with_suffix('')}")
    images = images_of(read_all(Destination.parse(f"oci:{tmp_path}/both")))
    (arm64,) = images_of(read_all(Destination.parse(f"oci:{tmp_path}/alone")))

    assert arm64.digest in {image.digest for image in images}
    for image in images:
        validate(image)
