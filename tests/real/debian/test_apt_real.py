# SPDX-License-Identifier: Apache-2.0
"""`apt_packages` on the embedded base, with Debian's own tools as judges."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.oci.layout import read_layout
from imagekit.oci.unpack import unpack
from imagekit.oci.validate import validate
from tests.real.builds import Host, history_of, new_host, shared_downloads

pytestmark = [pytest.mark.network, pytest.mark.root]

_LEFT_OUT = re.compile(r"missing +/usr/share/(?:doc|groff|info|linda|lintian|locale|man)(?:/.*)?")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return new_host(tmp_path_factory.mktemp("host"), shared_downloads())


def build(host: Host, folder: Path, packages: str, name: str = "image") -> tuple[Path, str]:
    """The unpacked root of a built image, and the image's digest."""
    spec = folder / "spec.yaml"
    spec.write_text(f"object_storage: false\ncompile_bytecode: false\napt_packages: [{packages}]\n")
    if not (folder / "pylock.toml").exists():
        host.lock(spec)
    digest = host.build(spec, f"oci:{folder / name}")
    image = read_layout(folder / name)
    validate(image)
    root = folder / f"{name}-root"
    root.mkdir()
    unpack(image, root)
    return root, digest


def dpkg(root: Path, *arguments: str) -> list[str]:
    """What dpkg of this machine says of a root."""
    command = ["dpkg", f"--root={root}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def libraries(root: Path) -> list[str]:
    """What the loader's cache holds, in its order."""
    command = ["ldconfig", "-r", str(root), "-p"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "=>" in line]


def complaints(root: Path) -> Iterator[str]:
    yield from dpkg(root, "--audit")
    yield from (line for line in dpkg(root, "--verify") if not _LEFT_OUT.fullmatch(line))


def test_packages_without_scripts_are_layers_like_any_other(tmp_path: Path, host: Host) -> None:
    """dpkg knows and verifies them, the loader finds them, and another machine makes the same."""
    root, digest = build(host, tmp_path, "libsndfile1")
    assert [*complaints(root)] == []
    assert dpkg(root, "--listfiles", "libsndfile1")
    made = history_of(read_layout(tmp_path / "image"))
    assert any(line.startswith("imagekit: dpkg's database with ") for line in made)
    found = libraries(root)
    assert any("libsndfile.so.1 " in line for line in found)
    subprocess.run(["ldconfig", "-r", root], check=True)
    assert libraries(root) == found
    other = new_host(tmp_path / "other", shared_downloads())
    assert build(other, tmp_path, "libsndfile1", "again")[1] == digest


def test_scripts_are_run_by_the_images_own_dpkg(tmp_path: Path, host: Host) -> None:
    """Users are made and triggers run; it is done once, and the history says what that means."""
    root, digest = build(host, tmp_path, "dbus")
    assert [*complaints(root)] == []
    assert "messagebus:" in (root / "etc/passwd").read_text()
    made = history_of(read_layout(tmp_path / "image"))
    scripted = [line for line in made if line.startswith("imagekit: dpkg, not reproducible: ")]
    assert len(scripted) == 1
    assert not (root / "usr/sbin/policy-rc.d").exists()
    assert not (root / "run/imagekit").exists()
    assert build(host, tmp_path, "dbus", "again")[1] == digest


def test_what_is_not_there_is_named_with_its_line(tmp_path: Path, host: Host) -> None:
    """And with what may have been meant."""
    spec = tmp_path / "spec.yaml"
    spec.write_text("apt_packages:\n- git\n- libgomp2\n")
    done = host.run("lock", spec)
    assert done.returncode == 3
    assert "spec.yaml:3: apt_packages: no package libgomp2 in the base's release" in done.stderr
    assert "did you mean libgomp1" in done.stderr
