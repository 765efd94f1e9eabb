# SPDX-License-Identifier: Apache-2.0
"""The Debian base against the real archive, and against Debian's own tools as judges."""

import filecmp
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from imagekit.debian.assemble import download_debs, resolve_base
from imagekit.debian.base import DebianBase
from imagekit.debian.releases import release_for
from imagekit.debian.sources import Mirrors, find_mirrors
from imagekit.debian.store import unpack_tree
from imagekit.debian.tree import Tree
from imagekit.debian.unpack import MERGED
from imagekit.fetch import fetch_small
from imagekit.layers.host import host_can_run

pytestmark = pytest.mark.network

REPOSITORY = Path(__file__).parents[3]
BUILD = """\
import contextlib, json, os, sys
from pathlib import Path
from imagekit.debian.assemble import download_debs
from imagekit.debian.base import DebianBase
from imagekit.debian.layer import write_layer
from imagekit.debian.sources import find_mirrors
from imagekit.debian.store import unpack_tree
from imagekit.layers.bytecode import BytecodeCompiler
from imagekit.layers.host import host_can_run
from imagekit.layers.writer import LayerWriter

os.umask(int(sys.argv[3], 8))
base = DebianBase.from_dict(json.loads(Path(sys.argv[1]).read_text()))
work = Path(sys.argv[2])
debs = download_debs(base, find_mirrors(os.environ))
tree = unpack_tree(base, debs, directory=work)
able = host_can_run(base.architecture)
compiler = BytecodeCompiler(tree.root, base.python_path) if able else None
with (work / "layer.tar.gz").open("wb") as sink, compiler or contextlib.nullcontext():
    writer = LayerWriter(sink)
    layer = write_layer(tree, writer, compiler)
    print(writer.finish().digest, layer.bytecode_files)
"""


@pytest.fixture(scope="module")
def mirrors() -> Mirrors:
    return find_mirrors(os.environ)


@pytest.fixture(scope="module", params=["3.11", "3.13"])
def base(mirrors: Mirrors, request: pytest.FixtureRequest) -> DebianBase:
    return resolve_base(request.param, "linux/amd64", mirrors)


@pytest.fixture(scope="module")
def debs(base: DebianBase, mirrors: Mirrors) -> dict[str, Path]:
    return download_debs(base, mirrors)


@pytest.fixture(scope="module")
def tree(base: DebianBase, debs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return unpack_tree(base, debs, directory=tmp_path_factory.mktemp("trees"))


def _build(base: DebianBase, folder: Path, umask: str = "022", **environ: str) -> tuple[str, int]:
    lock = folder / "base.json"
    lock.write_text(json.dumps(base.to_dict()))
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(lock), str(folder), umask],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    digest, count = done.stdout.split()
    return digest, int(count)


def test_the_base_is_what_was_asked_for(base: DebianBase) -> None:
    """Its Python, glibc and packages are those of the release, with every suite's date."""
    expected = {"bookworm": ("3.11", 36), "trixie": ("3.13", 41)}[base.release]
    assert base.python_version.startswith(f"{expected[0]}.")
    assert base.libc == ("glibc", 2, expected[1])
    assert [suite.partition("-")[2] for suite, _ in base.released] == ["", "updates", "security"]
    names = {package.name for package in base.packages}
    assert {"dash", "bash", "coreutils", "libc-bin", "ca-certificates", "tzdata"} <= names
    assert not {"dpkg", "apt", "perl-base", "debconf"} & names


def test_another_architecture_resolves_too(mirrors: Mirrors) -> None:
    """On this machine, for that one."""
    arm = resolve_base("3.11", "linux/arm64", mirrors)
    assert {package.architecture for package in arm.packages} == {"all", "arm64"}


def test_the_layer_is_the_same_everywhere(base: DebianBase, tmp_path: Path) -> None:
    """Another folder, umask, time zone, locale and hash seed give the same digest."""
    one, two = tmp_path / "one", tmp_path / "a longer name for two"
    one.mkdir()
    two.mkdir()
    first = _build(base, one, TZ="Asia/Kolkata", PYTHONHASHSEED="1", LC_ALL="C")
    second = _build(
        base,
        two,
        "077",
        TZ="America/New_York",
        PYTHONHASHSEED="7",
        HOME="/nowhere",
        XDG_CACHE_HOME=os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
    )
    assert first == second
    assert (first[1] > 500) == host_can_run(base.architecture)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is the judge")
@pytest.mark.parametrize("name", ["bash", "libc6", "tzdata", "gzip", "media-types"])
def test_files_are_those_that_dpkg_unpacks(
    base: DebianBase, debs: dict[str, Path], tree: Tree, tmp_path: Path, name: Any
) -> None:
    """Same bytes, modes and link targets, in merged /usr; only documentation is missing."""
    package = next(package for package in base.packages if package.name == name)
    subprocess.run(["dpkg-deb", "-x", debs[package.sha256], tmp_path], check=True)
    compared = 0
    for path in sorted(tmp_path.rglob("*")):
        relative = str(path.relative_to(tmp_path))
        merged = f"usr/{relative}" if relative.split("/", maxsplit=1)[0] in MERGED else relative
        if merged not in tree.nodes:
            assert merged.startswith("usr/share/") or relative in MERGED, merged
            continue
        node = tree.nodes[merged]
        compared += 1
        if path.is_symlink():
            assert node.target == os.readlink(path)
        elif path.is_file():
            assert tree.read(merged) == path.read_bytes()
            assert node.mode == stat.S_IMODE(path.stat().st_mode)
    assert compared > 5


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg-query is the judge")
def test_dpkg_reads_its_database(base: DebianBase, tree: Tree) -> None:
    """Every package is installed in its version, and knows its files."""
    admin = tree.root / "var/lib/dpkg"
    asked = ["dpkg-query", f"--admindir={admin}", "-W", "-f", "${Package} ${Version} ${Status}\n"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == [
        f"{package.name} {package.version} install ok installed"
        for package in sorted(base.packages, key=lambda package: package.name)
    ]
    owner = subprocess.run(
        ["dpkg-query", f"--admindir={admin}", "-S", "/usr/share/doc/bash/copyright"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert owner.stdout.startswith("bash: ")


@pytest.fixture(scope="module")
def chroot(base: DebianBase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The layer, unpacked by tar, as a container would see it."""
    folder = tmp_path_factory.mktemp("chroot")
    _build(base, folder)
    root = folder / "root"
    root.mkdir()
    subprocess.run(["tar", "-xzf", folder / "layer.tar.gz", "-C", root], check=True)
    os.mknod(root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(root / "dev/null", 0o666)
    yield root
    shutil.rmtree(root)


def _inside(root: Path, *command: str) -> str:
    done = subprocess.run(
        ["chroot", "--userspec=1000:0", root, *command],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = """\
import bz2, ctypes, ctypes.util, curses, json, lzma, pwd, readline, sqlite3, ssl, subprocess, time
import zoneinfo
print(json.dumps({
    "certificates": len(ssl.create_default_context().get_ca_certs()),
    "library": ctypes.CDLL(ctypes.util.find_library("c")).getuid(),
    "openmp": ctypes.util.find_library("gomp"),
    "shell": subprocess.check_output("echo hi | sed s/h/H/ | grep H | awk '{print $1}'",
                                     shell=True, text=True),
    "zone": zoneinfo.ZoneInfo("Europe/Berlin").key,
    "user": pwd.getpwuid(1000).pw_name,
    "local": time.tzname[0],
    "sqlite": sqlite3.connect(":memory:").execute("select 6*7").fetchone()[0],
}))
"""


@pytest.mark.root
def test_python_works_in_it_as_a_plain_user(chroot: Path) -> None:
    """TLS certificates, C libraries, a shell with its tools, time zones, SQLite, the user."""
    assert json.loads(_inside(chroot, "python", "-c", PROGRAM)) == {
        "certificates": pytest.approx(140, abs=40),
        "library": 1000,
        "openmp": "libgomp.so.1",
        "shell": "Hi\n",
        "zone": "Europe/Berlin",
        "user": "task",
        "local": "UTC",
        "sqlite": 42,
    }
    _inside(chroot, "sh", "-c", "touch /root/x /tmp/x && which awk tar bash python3 && bash -c :")


@pytest.mark.root
def test_no_start_compiles_the_standard_library(chroot: Path) -> None:
    """A plain user can't write bytecode, so all of it has to be there already."""
    done = subprocess.run(
        ["chroot", "--userspec=1000:0", chroot, "/usr/bin/python3", "-v", "-c", "import asyncio"],
        capture_output=True,
        text=True,
        check=True,
    )
    read = [line for line in done.stderr.splitlines() if line.startswith("# code object from")]
    assert len(read) > 50
    assert all(line.endswith(".pyc'") for line in read)


@pytest.mark.root
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the judge")
def test_openssl_would_file_the_authorities_alike(chroot: Path) -> None:
    """`openssl rehash` finds nothing to change in the folder of authorities."""
    folder = chroot / "etc/ssl/certs"

    def links() -> dict[str, str]:
        return {path.name: os.readlink(path) for path in folder.iterdir() if path.is_symlink()}

    ours = links()
    # Its links to files are absolute in the image, so the program has to see the image's root.
    copy = chroot / "tmp/rehashed"
    copy.mkdir()
    for path in folder.glob("*.pem"):
        target = chroot / os.readlink(path).lstrip("/")
        (copy / path.name).write_bytes(target.read_bytes())
    subprocess.run(["openssl", "rehash", copy], check=True, capture_output=True)
    theirs = {path.name: os.readlink(path) for path in copy.iterdir() if path.is_symlink()}
    shutil.rmtree(copy)
    assert {name: target for name, target in ours.items() if not name.endswith(".pem")} == theirs


@pytest.mark.root
@pytest.mark.skipif(shutil.which("ldconfig") is None, reason="ldconfig is the judge")
def test_ldconfig_would_make_the_same_cache(chroot: Path) -> None:
    """The same libraries in the same order, and no link that is missing."""

    def printed() -> list[str]:
        shown = subprocess.run(
            ["ldconfig", "-p", "-C", chroot / "etc/ld.so.cache"],
            capture_output=True,
            text=True,
            check=True,
        )
        return [line for line in shown.stdout.splitlines() if "=>" in line]

    ours = printed()
    links = sorted(path for path in chroot.rglob("*.so*") if path.is_symlink())
    subprocess.run(["ldconfig", "-r", chroot], check=True)
    assert ours == printed()
    assert len(ours) > 40
    assert links == sorted(path for path in chroot.rglob("*.so*") if path.is_symlink())


def test_a_package_that_moved_is_found_by_its_digest(
    base: DebianBase,
    mirrors: Mirrors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its locked path is gone from every mirror; today's lists know where it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    package = next(package for package in base.packages if package.name == "netbase")
    moved = replace(package, filename="pool/main/n/netbase/elsewhere.deb")
    files = download_debs(replace(base, packages=(moved,)), mirrors)
    data = files[package.sha256].read_bytes()
    assert hashlib.sha256(data).hexdigest() == package.sha256


def test_a_killed_unpacking_leaves_nothing_wrong(
    base: DebianBase, debs: dict[str, Path], tree: Tree, tmp_path: Path
) -> None:
    """The next run starts over, and gets the same tree."""
    lock = tmp_path / "base.json"
    lock.write_text(json.dumps(base.to_dict()))
    work = tmp_path / "work"
    work.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(lock), str(work), "022"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(work.glob("*.partial/blobs/9/*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(work.glob("*.partial"))
    again = unpack_tree(base, debs, directory=work)
    assert again.nodes == tree.nodes
    assert not list(work.glob("*.partial"))
    assert not filecmp.dircmp(again.root, tree.root).diff_files


@pytest.mark.skipif(
    not Path("/usr/share/keyrings").is_dir(), reason="debian-archive-keyring is the judge"
)
def test_the_stored_keys_are_debians() -> None:
    """Byte for byte those of Debian's own package, where the machine has them."""
    compared = 0
    for key in (resources.files("imagekit.bases") / "keys").iterdir():
        original = Path("/usr/share/keyrings") / key.name.replace(".asc", ".gpg")
        if key.name.endswith(".asc") and original.exists():
            (theirs,) = pysequoia.Cert.split_file(str(original))
            assert bytes(pysequoia.Cert.from_bytes(key.read_bytes())) == bytes(theirs)
            compared += 1
    if not compared:
        pytest.skip("this machine has none of the key files")


@pytest.mark.skipif(shutil.which("gpgv") is None, reason="gpgv is the judge")
def test_gpgv_believes_the_same_release(mirrors: Mirrors, tmp_path: Path) -> None:
    """The signature that was accepted is one that gpgv accepts with the same keys."""
    signed = tmp_path / "InRelease"
    signed.write_bytes(fetch_small(f"{mirrors.main[0]}/dists/bookworm/InRelease"))
    keyring = tmp_path / "keys.gpg"
    keyring.write_bytes(
        b"".join(bytes(pysequoia.Cert.from_bytes(key)) for key in release_for("3.11").keys)
    )
    done = subprocess.run(
        ["gpgv", "--keyring", keyring, "--output", tmp_path / "text", signed],
        capture_output=True,
        text=True,
        env={**os.environ, "GNUPGHOME": str(tmp_path)},
        check=False,
    )
    assert "Good signature" in done.stderr
