# SPDX-License-Identifier: Apache-2.0
"""`apt_packages` over a base, against the same packages as mmdebstrap has apt install them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.debian.control import stanzas
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.unpack import unpack
from tests.fakes.images import image_of, raw_layer
from tests.real.builds import Host, new_host, shared_downloads

pytestmark = [
    pytest.mark.network,
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is the judge"),
]

SETS = (
    ("git", "libsndfile1"),
    ("libgomp1", "libblas3", "gawk"),
    ("openssh-server",),
    ("default-jre-headless",),
)
ALLOWED = {
    "what every image of ours has": r"opt/venv(/.*)?|root(/.*)?|etc/passwd-?",
    "what the machine that runs it puts there": (
        r"(dev|proc|sys|run|tmp)(/.*)?|etc/(hostname|hosts|machine-id|resolv\.conf)"
    ),
    "what apt leaves of its own work; nothing reads it again": r"var/(cache|log|lib/apt)(/.*)?",
    "what dpkg keeps of its last run, locks and backups": (
        r"var/lib/dpkg/(.*-old|lock.*|triggers/Lock|arch)"
    ),
    "compared by what it says, below": r"var/lib/dpkg/status|etc/ld\.so\.cache",
}
"""Paths that may differ, each group with its reason."""

MADE_ANEW = {
    "keys of a host": r"etc/ssh/ssh_host_.*",
    "with times in it": r"etc/ssl/certs/java/cacerts|.*/classes(_nocoops)?\.jsa",
}
"""Paths whose mode and owner alone are compared: scripts write other bytes each time."""

_ALLOWED = re.compile("|".join(ALLOWED.values()))
_MADE_ANEW = re.compile("|".join(MADE_ANEW.values()))


def mmdebstrap(target: Path, *packages: str) -> Path:
    """A root with apt, Python and `packages`; what apt thinks of frozen mirrors doesn't matter."""
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--format=tar"]
    command += ["--aptopt=Acquire::Check-Valid-Until false"]
    included = ",".join(("python3", *packages))
    subprocess.run([*command, f"--include={included}", "bookworm", target], check=True)
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the base as an OCI layout."""
    made = tmp_path_factory.mktemp("mmdebstrap")
    base = mmdebstrap(made / "base.tar")
    write_layout(image_of(raw_layer(made, base.read_bytes())), made / "base")
    return made


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return new_host(tmp_path_factory.mktemp("host"), shared_downloads())


@pytest.mark.parametrize("packages", SETS, ids="-".join)
def test_files_and_database_are_those_of_apt(
    folder: Path, host: Host, packages: tuple[str, ...]
) -> None:
    """Modes, owners, links and contents, dpkg's stanzas, and what the loader finds."""
    name = "-".join(packages)
    spec = folder / f"{name}.yaml"
    spec.write_text(
        "object_storage: false\ncompile_bytecode: false\nbase_image: oci:base\n"
        f"apt_packages: [{', '.join(packages)}]\n"
    )
    host.lock(spec)
    host.build(spec, f"oci:{folder / name}-image")
    ours, theirs = folder / f"{name}-ours", folder / f"{name}-theirs"
    for root in (ours, theirs):
        root.mkdir()
    unpack(read_layout(folder / f"{name}-image"), ours)
    tar = mmdebstrap(folder / f"{name}.tar", *packages)
    subprocess.run(["tar", "-xf", tar, "-C", theirs, "--numeric-owner"], check=True)

    one, other = files(ours), files(theirs)
    assert {
        path: one.get(path) for path in {*one, *other} if one.get(path) != other.get(path)
    } == {}
    assert status(ours) == status(theirs)
    assert libraries(ours) == libraries(theirs)
    assert said(ours, "--audit") == []
    assert said(ours, "--verify") == []
    done = subprocess.run(["chroot", ours, "apt-get", "check"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(ours)
    shutil.rmtree(theirs)


def files(root: Path) -> Mapping[str, object]:
    """What stands at each path that has to be the same."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            place = Path(folder, name)
            path = str(place.relative_to(root))
            if not _ALLOWED.fullmatch(path):
                found[path] = _described(place, os.lstat(place), path)
    return found


def _described(place: Path, found: os.stat_result, path: str) -> object:
    facts = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
    if stat.S_ISLNK(found.st_mode):
        return (*facts[1:], os.readlink(place))
    if stat.S_ISDIR(found.st_mode) or _MADE_ANEW.fullmatch(path):
        return facts
    return (*facts, found.st_nlink, hashlib.sha256(place.read_bytes()).hexdigest())


def status(root: Path) -> Mapping[str, Mapping[str, str]]:
    text = (root / "var/lib/dpkg/status").read_text("utf-8", "surrogateescape")
    return {fields["Package"]: fields for fields in stanzas(text)}


def libraries(root: Path) -> list[str]:
    done = subprocess.run(
        ["ldconfig", "-r", str(root), "-p"], capture_output=True, text=True, check=True
    )
    return [line for line in done.stdout.splitlines() if "=>" in line]


def said(root: Path, question: str) -> list[str]:
    command = ["dpkg", f"--root={root}", question]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
