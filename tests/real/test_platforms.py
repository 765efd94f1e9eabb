# SPDX-License-Identifier: Apache-2.0
"""Bytecode for another processor, beside what an interpreter of that processor makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.debian.assemble import download_debs, resolve_base
from imagekit.debian.sources import find_mirrors
from imagekit.debian.store import unpack_tree
from imagekit.debian.tree import Tree
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.host import host_can_run
from imagekit.oci.descriptor import Platform
from imagekit.oci.destinations import Destination, read_all
from imagekit.oci.index import images_of
from imagekit.oci.unpack import unpack
from imagekit.oci.validate import validate
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.registry_server import registry
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


INSIDE = """\
import os, sys
root, *command = sys.argv[1:]
os.chroot(root)
os.chdir("/root")
os.setgroups([])
os.setgid(0)
os.setuid(1000)
os.execv("/qemu", ["/qemu", *command])
"""
TASK = """\
import platform
from imagekit import task
from markupsafe import _speedups, escape


@task
def shown(text: str) -> str:
    return f"{platform.machine()} {_speedups.__name__} {escape(text)}"
"""


@pytest.mark.network
@pytest.mark.qemu
@pytest.mark.registry
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(not host_can_run("amd64"), reason="the other processor is emulated on amd64")
def test_an_image_for_the_other_processor_runs_there(tmp_path: Path) -> None:
    """Built and pushed on amd64 in one index; read for arm64, its own ENTRYPOINT runs a task.

    Wheels with machine code are arm64's; the interpreter, the libraries and the bytecode are, too.
    """
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "task.py").write_text(TASK)
    spec = tmp_path / "spec.yaml"
    with registry(tmp_path / "registry") as server:
        spec.write_text(
            f"name: two\nregistry: {server.address}\nplatform: [linux/amd64, linux/arm64]\n"
            "packages: [markupsafe]\nobject_storage: false\nsource_root: src\n"
        )
        done = new_host(tmp_path / "host", shared_downloads()).run("build", spec, "--push")
        assert done.returncode == 0, done.stderr
        reference = RegistryReference.parse(done.stdout.strip())
        image = RegistryClient().pull(reference, Platform.parse("linux/arm64"))
        root = tmp_path / "root"
        root.mkdir()
        unpack(image, root)
    shutil.copy(str(shutil.which(_EMULATOR)), root / "qemu")
    config = image.config.object("config")
    command = [*config.texts("Entrypoint"), "call", "task:shown", "text=<a>"]
    ran = subprocess.run(
        [sys.executable, "-c", INSIDE, str(root), *command],
        env=dict(entry.split("=", 1) for entry in config.texts("Env")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "aarch64 markupsafe._speedups &lt;a&gt;" in ran.stdout
