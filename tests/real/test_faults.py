# SPDX-License-Identifier: Apache-2.0
"""Builds that are killed, meet a full disk or a spoilt download: the next one is right."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from imagekit.oci.layout import read_layout
from imagekit.oci.validate import validate
from tests.real.builds import Host, new_host, shared_downloads

pytestmark = pytest.mark.network

SPEC = """\
name: tests/faults
python_version: "3.11"
packages: [click, markupsafe]
object_storage: false
source_root: src
"""
KILLED_AT = """\
import os, signal, sys
left, cache = int(sys.argv[1]), sys.argv[2]
touched = {"open": 0, "os.rename": 1, "os.link": 1, "os.mkdir": 0, "os.remove": 0}

def count(event, arguments):
    global left
    if event not in touched or event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    path = str(arguments[touched[event]])
    if path.startswith(cache) and "/debian/" not in path:
        left -= 1
        if left == 0:
            os.killpg(0, signal.SIGKILL)

sys.addaudithook(count)
from imagekit.cli.main import main
code = main(sys.argv[3:])
print(-left, file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Sound:
    """A build that nothing happened to: what every other one has to come to."""

    host: Host
    spec: Path
    digest: str
    seconds: float

    @property
    def lock(self) -> Path:
        return self.spec.with_name("pylock.toml")

    def new_host(self, root: Path) -> Host:
        """A machine with the downloads that the build needs, and nothing else."""
        return new_host(root, self.host.files, self.lock)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    folder = tmp_path_factory.mktemp("sound")
    (folder / "project" / "src").mkdir(parents=True)
    (folder / "project" / "src" / "task.py").write_text("def one() -> int:\n    return 1\n")
    spec = folder / "project" / "spec.yaml"
    spec.write_text(SPEC)
    new_host(folder / "locking").lock(spec)
    host = new_host(folder / "host", shared_downloads(), spec.with_name("pylock.toml"))
    started = time.monotonic()
    digest = host.build(spec, f"oci:{folder / 'image'}")
    return Sound(host, spec, digest, time.monotonic() - started)


class TestKill:
    @pytest.mark.parametrize(
        ("kills", "seed"), [(12, 1), pytest.param(60, 2, marks=pytest.mark.slow)]
    )
    def test_at_random_moments(self, kills: int, seed: int, sound: Sound, tmp_path: Path) -> None:
        """However often and whenever a build is killed, the next one is right and tidies up."""
        moments = random.Random(seed)
        host = sound.new_host(tmp_path / "host")
        for _ in range(kills):
            build = host.start("build", "--locked", sound.spec, "--to", f"oci:{tmp_path}/image")
            time.sleep(moments.uniform(0.05, 1.0) * sound.seconds)
            os.killpg(build.pid, signal.SIGKILL)
            build.communicate()

        assert_right(host, sound, tmp_path / "image")

    def test_before_any_change_to_the_cache(self, sound: Sound, tmp_path: Path) -> None:
        """Of all the moments at which files appear or change, no one is a bad one."""
        counting = with_base_only(sound, tmp_path / "counting")
        total = killed_at(0, sound, counting, tmp_path / "image-0")
        assert total > 20
        moments = sorted(random.Random(9).sample(range(1, total * 9 // 10), 8))
        for moment in moments:
            host = with_base_only(sound, tmp_path / str(moment))
            assert killed_at(moment, sound, host, tmp_path / f"image-{moment}") == -1

            assert_right(host, sound, tmp_path / f"image-{moment}")


@pytest.mark.slow
def test_killed_before_every_change_to_the_cache(sound: Sound, tmp_path: Path) -> None:
    """The same, all of them."""
    counting = with_base_only(sound, tmp_path / "counting")
    total = killed_at(0, sound, counting, tmp_path / "image-0")
    for moment in range(1, total):
        host = with_base_only(sound, tmp_path / str(moment))
        killed_at(moment, sound, host, tmp_path / f"image-{moment}")

        assert_right(host, sound, tmp_path / f"image-{moment}")


def test_two_at_once(sound: Sound, tmp_path: Path) -> None:
    """Builds that share an empty cache don't disturb each other."""
    host = sound.new_host(tmp_path / "host")
    builds = [
        host.start("build", "--locked", sound.spec, "--to", f"oci:{tmp_path / name}")
        for name in ("one", "two")
    ]
    for build, name in zip(builds, ("one", "two"), strict=True):
        output, errors = build.communicate()
        assert build.returncode == 0, errors
        assert output.strip().endswith(sound.digest)
        validate(read_layout(tmp_path / name))
    assert leftovers(host.cache) == []


def test_two_at_once_into_one_layout(sound: Sound, tmp_path: Path) -> None:
    """Both images are in it afterwards, each under its name."""
    builds = [
        sound.host.start("build", "--locked", sound.spec, "--to", f"oci:{tmp_path}/image:{name}")
        for name in ("one", "two")
    ]
    for build in builds:
        _, errors = build.communicate()
        assert build.returncode == 0, errors
    for name in ("one", "two"):
        assert read_layout(tmp_path / "image", name).digest == sound.digest


@pytest.mark.parametrize("moment", ["making /opt/venv", "making Debian bookworm"])
def test_interrupted(moment: str, sound: Sound, tmp_path: Path) -> None:
    """SIGINT ends a build with 130 and without a traceback, whatever was being made."""
    host = sound.new_host(tmp_path / "host")
    build = host.start("build", "--locked", sound.spec, "--to", f"oci:{tmp_path}/image")
    assert build.stderr is not None
    while not build.stderr.readline().rstrip().endswith(f" {moment}"):
        assert build.poll() is None, "the build ended before"
    os.killpg(build.pid, signal.SIGINT)
    _, errors = build.communicate()

    assert "Traceback" not in errors
    assert "interrupted" in errors.splitlines()
    assert build.returncode == 130
    assert_right(host, sound, tmp_path / "image")


class TestSpoiltDownload:
    @pytest.mark.parametrize(
        ("package", "how"),
        [("click", "one bit"), ("click", "cut"), ("markupsafe", "empty"), ("tzdata_", "one bit")],
    )
    def test_is_found(self, package: str, how: str, sound: Sound, tmp_path: Path) -> None:
        """It never reaches an image: the build gets it again, or says so and the next one does."""
        of_base = package.endswith("_")
        host = (sound.new_host if of_base else partial(with_base_only, sound))(tmp_path / "host")
        spoil(host.files / locked_digest(sound.lock, package), how)

        done = host.run("build", "--locked", sound.spec, "--to", f"oci:{tmp_path}/image")
        if done.returncode != 0:
            assert done.returncode == 6
            assert package.rstrip("_") in done.stderr
            assert "\nhint: " in done.stderr
        assert_right(host, sound, tmp_path / "image")


@pytest.mark.root
class TestFullDisk:
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_under_the_cache(self, share: float, sound: Sound, disk: Path, tmp_path: Path) -> None:
        """A clear error wherever space runs out; with more of it the same cache is good."""
        size_bytes = int(share * used_bytes(sound.host.cache))
        mount(disk, f"size={size_bytes}")
        downloads_fit = share > 0.3
        host = sound.new_host(disk / "host") if downloads_fit else new_host(disk / "host")

        done = host.run("build", "--locked", sound.spec, "--to", f"oci:{tmp_path}/image")
        assert_says_full(done)
        assert not (tmp_path / "image" / "index.json").exists()

        mount(disk, "remount,size=1g")
        assert_right(host, sound, tmp_path / "image")

    def test_without_room_for_more_files(self, sound: Sound, disk: Path, tmp_path: Path) -> None:
        """The same where bytes are left but no inodes."""
        mount(disk, "size=1g,nr_inodes=400")
        host = sound.new_host(disk / "host")

        assert_says_full(host.run("build", "--locked", sound.spec, "--to", f"oci:{tmp_path}/image"))

        mount(disk, "remount,nr_inodes=1000000")
        assert_right(host, sound, tmp_path / "image")

    @pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
    def test_at_the_destination(self, transport: str, sound: Sound, disk: Path) -> None:
        """Nothing is there that looks like an image; with more space it is."""
        mount(disk, "size=10m")
        place = disk / "image"
        command = ("build", "--locked", sound.spec, "--to", f"{transport}:{place}")

        assert_says_full(sound.host.run(*command))
        assert not (place / "index.json").exists()
        assert not place.is_file()
        assert leftovers(disk) == []

        mount(disk, "remount,size=1g")
        done = sound.host.run(*command)
        assert done.returncode == 0, done.stderr

    def test_under_the_local_store(self, sound: Sound, disk: Path) -> None:
        """The store's images stay as they were."""
        mount(disk, "size=10m")
        host = Host(sound.host.root, environ={"XDG_DATA_HOME": str(disk)})

        assert_says_full(host.run("build", "--locked", sound.spec))

        mount(disk, "remount,size=1g")
        assert host.build(sound.spec) == sound.digest
        assert host.run("inspect", f"tests/faults@{sound.digest}").returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Where a test mounts a small disk; it is gone afterwards."""
    place = tmp_path / "disk"
    place.mkdir()
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def assert_right(host: Host, sound: Sound, layout: Path) -> None:
    """The next build has the expected digest, its image is true, and nothing is left over."""
    assert host.build(sound.spec, f"oci:{layout}") == sound.digest
    image = read_layout(layout)
    assert image.digest == sound.digest
    validate(image)
    assert leftovers(host.cache) == []
    assert leftovers(layout) == []


def assert_says_full(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr
    assert "no space" in done.stderr.lower()
    assert "\nhint: " in done.stderr
    assert done.returncode == 7


def leftovers(folder: Path) -> list[Path]:
    """What only exists while something is being made."""
    names = ("*.tmp", "*.partial", ".work-*")
    return [path for name in names for path in folder.rglob(name)]


def used_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def with_base_only(sound: Sound, root: Path) -> Host:
    """A machine whose cache has the base and downloads, but no other layer."""
    host = Host(root)
    shutil.copytree(sound.host.cache, host.cache, symlinks=True, copy_function=os.link)
    for entry in (host.cache / "layers" / "recipes").iterdir():
        if "debian base" not in entry.read_text():
            entry.unlink()
    for name in ("runtime", "conflict-free"):
        shutil.rmtree(host.cache / name)
    return host


def killed_at(moment: int, sound: Sound, host: Host, layout: Path) -> int:
    """Run a build that is killed before its nth change to the cache; 0 kills none, and counts.

    Returns how many changes there were, or -1 if it was killed.
    """
    arguments = [str(moment), str(host.cache), "build", "--locked", str(sound.spec)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, *arguments, "--to", f"oci:{layout}"],
        env=host.variables,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode == -signal.SIGKILL:
        return -1
    assert done.returncode == 0, done.stderr
    return int(done.stderr.splitlines()[-1])


def locked_digest(lock: Path, package: str) -> str:
    """The sha256 of the first file in the lock whose name starts so."""
    text = lock.read_text()
    found = re.search(rf'["/]{package}[^"]*\.(whl|deb)".*?sha256 = "(\w+)"', text, re.DOTALL)
    assert found is not None
    return found[2]


def spoil(path: Path, how: str) -> None:
    """Break a cached file, in a copy of its own: it is a link to what others use."""
    data = bytearray(path.read_bytes())
    path.unlink()
    if how == "one bit":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: {"one bit": len(data), "cut": len(data) // 2, "empty": 0}[how]])
