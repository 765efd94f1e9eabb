# SPDX-License-Identifier: Apache-2.0
"""CUDA by NVIDIA's wheels from the index, and from a stand-in of NVIDIA's image in a registry.

The stand-in is named and says of itself what NVIDIA's does; it is a Debian base with Python, and
NVIDIA's own library.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from tests.fakes.images import file_layer
from tests.fakes.registry_server import Server
from tests.real.builds import Host, new_host, shared_downloads

pytestmark = [pytest.mark.registry, pytest.mark.network]

NAME = "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04"
VARIABLES = {
    "PATH": "/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/bin",
    "CUDA_VERSION": "12.6.3",
    "NV_CUDA_LIB_VERSION": "12.6.3-1",
    "NV_CUDNN_VERSION": "9.5.1.17-1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_REQUIRE_CUDA": "cuda>=12.6 brand=tesla,driver>=470,driver<471",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
}
SOURCE = '''
import ctypes, ctypes.util, os, shutil, subprocess, sys

def version() -> int:
    """What the runtime that the loader finds says of itself: 1000 * major + 10 * minor."""
    found = ctypes.c_int()
    assert ctypes.CDLL("libcudart.so.12").cudaRuntimeGetVersion(ctypes.byref(found)) == 0
    ctypes.CDLL("libnvToolsExt.so.1")
    return found.value

def found() -> "str | None":
    """What libraries of others ask for theirs by."""
    return ctypes.util.find_library("cudart")

def listed(*words: str) -> "list[str]":
    done = subprocess.run(["/sbin/ldconfig", "-p", *words], capture_output=True, text=True)
    return [line.strip() for line in done.stdout.splitlines() if "=>" in line]

def cache() -> "list[list[str]]":
    """What the image's cache lists, and what its own ldconfig makes of its configuration."""
    again = "/tmp/again"
    subprocess.run(["/sbin/ldconfig", "-X", "-i", "-C", again], check=True)
    return [listed(), listed("-C", again)]

def users_own() -> bool:
    """Whether a folder in LD_LIBRARY_PATH comes before the cache: it holds another library."""
    os.makedirs("/tmp/own", exist_ok=True)
    other = next(x for x in listed() if x.startswith("libnvToolsExt")).rpartition(" ")[2]
    shutil.copy(other, "/tmp/own/libcudart.so.12")
    ask = "import ctypes; ctypes.CDLL('libcudart.so.12').nvtxMarkA"
    environ = {**os.environ, "LD_LIBRARY_PATH": "/tmp/own"}
    return subprocess.run([sys.executable, "-c", ask], env=environ).returncode == 0
'''


@dataclass(frozen=True, slots=True)
class Plain:
    """An image with CUDA by wheels, built; the stand-in that was made of its parts, pushed."""

    host: Host
    spec: Path
    image: Image
    base: str


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Plain:
    folder = tmp_path_factory.mktemp("cuda")
    host = new_host(folder / "host", shared_downloads())
    (folder / "src").mkdir()
    (folder / "src/probe.py").write_text(SOURCE)
    spec = folder / "spec.yaml"
    spec.write_text(
        "name: tests/cuda\ncuda: '12.6'\nobject_storage: false\nsource_root: src\n"
        "env: {NVIDIA_DRIVER_CAPABILITIES: all}\npackages: [nvidia-nvtx-cu12==12.6.77]\n"
    )
    host.lock(spec)
    host.build(spec, f"oci:{folder / 'layout'}")
    image = read_layout(folder / "layout")
    base = f"{server.address}/{NAME}"
    RegistryClient().push(stand_in(folder, host, image), RegistryReference.parse(base))
    return Plain(host, spec, image, base)


def stand_in(folder: Path, host: Host, image: Image) -> Image:
    library = "nvidia/cuda_runtime/lib/libcudart.so.12"
    for path in host.files.iterdir():
        if zipfile.is_zipfile(path) and library in zipfile.ZipFile(path).namelist():
            data = zipfile.ZipFile(path).read(library)
            break
    else:
        raise AssertionError("no wheel of CUDA's runtime was downloaded")
    layer = file_layer(folder, {"usr/local/cuda-12.6/lib64/libcudart.so.12": data})
    additions = [Addition(image.layers[0], "Debian"), Addition(layer, "CUDA")]
    return assemble(None, additions, Settings(environment=VARIABLES), platform=image.platform)


def based(plain: Plain, folder: Path, text: str) -> Path:
    spec = folder / "spec.yaml"
    spec.write_text(f"base_image: {plain.base}\nobject_storage: false\n{text}\n")
    return spec


def variables(image: Image) -> dict[str, str]:
    entries = image.config.object("config").texts("Env")
    return dict(entry.partition("=")[::2] for entry in entries)


def test_wheels_bring_cuda_that_the_loader_finds(plain: Plain) -> None:
    """NVIDIA's own runtime answers from within; it was added, and is of the asked version."""
    done = plain.host.run("run", plain.spec, "probe:version")
    assert json.loads(done.stdout) == {"o0": 12060}, done.stderr
    found = variables(plain.image)
    assert found["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert found["NVIDIA_DRIVER_CAPABILITIES"] == "all"
    assert found["NVIDIA_REQUIRE_CUDA"] == "cuda>=12.0"
    assert found["LD_LIBRARY_PATH"] == VARIABLES["LD_LIBRARY_PATH"]
    shown = plain.host.run("plan", "--locked", plain.spec).stdout
    assert "cuda    12.6 from 2 nvidia-* wheels (" in shown


def test_the_loaders_cache_is_what_ldconfig_would_make(plain: Plain) -> None:
    """Of the base's own, run within; programs find the library by it, and users' variables win."""
    done = plain.host.run("run", plain.spec, "probe:cache")
    (answer,) = json.loads(done.stdout).values()
    ours, again = answer
    assert ours == again
    folder = "/opt/venv/lib/python3.11/site-packages/nvidia/cuda_runtime/lib"
    assert f"libcudart.so.12 (libc6,x86-64) => {folder}/libcudart.so.12" in ours
    assert any(line.startswith("libc.so.6 ") for line in ours)
    done = plain.host.run("run", plain.spec, "probe:found")
    assert json.loads(done.stdout) == {"o0": "libcudart.so.12"}, done.stderr
    done = plain.host.run("run", plain.spec, "probe:users_own")
    assert json.loads(done.stdout) == {"o0": True}, done.stderr


def test_why_names_what_the_loader_was_told_by(plain: Plain, tmp_path: Path) -> None:
    """A wheel that is another one changes its cache; without `cuda` there is none."""
    text = plain.spec.read_text()
    spec = tmp_path / "spec.yaml"
    (tmp_path / "src").symlink_to(plain.spec.parent / "src")

    def causes(text: str) -> dict[str, tuple[str, str, str]]:
        spec.write_text(text)
        plain.host.lock(spec)
        image = f"oci:{plain.spec.parent / 'layout'}"
        done = plain.host.run("why", spec, image, "--output", "json")
        found = json.loads(done.stdout)["changes"]
        return {
            each["layer"].split()[0]: (each["became"], each["cause"]["kind"], each["cause"]["name"])
            for each in found
        }

    other = causes(text.replace("nvtx-cu12==12.6.77", "nvtx-cu12==12.4.127"))
    assert other["loader's"] == ("changed", "lock", "nvidia-nvtx-cu12")
    assert causes(text.replace("cuda: '12.6'", ""))["loader's"] == ("gone", "field", "cuda")


def test_a_base_brings_cuda_and_what_ships_twice_is_told(plain: Plain, tmp_path: Path) -> None:
    """In bytes of the wheel whose library the base has too, when locked and in the plan."""
    spec = based(plain, tmp_path, "cuda: '12.6'\ncudnn: '9'\npackages: [nvidia-nvtx-cu12==12.6.77]")
    done = plain.host.run("lock", spec)
    assert done.returncode == 0, done.stderr
    assert "warning: CUDA ships twice: the base holds 12.6.3, and nvidia-nvtx-cu12" in done.stderr
    told = json.loads(plain.host.run("plan", "--locked", spec, "--output", "json").stdout)
    cuda = told["platforms"][0]["cuda"]
    assert (cuda["origin"], cuda["version"], cuda["driver"]) == ("base", "12.6.3", "525")
    assert cuda["twice_bytes"] == cuda["wheels_bytes"] == 89_276
    plain.host.build(spec, f"oci:{tmp_path / 'layout'}")
    found = variables(read_layout(tmp_path / "layout"))
    assert found["NVIDIA_REQUIRE_CUDA"] == VARIABLES["NVIDIA_REQUIRE_CUDA"]
    assert found["PATH"].startswith("/opt/venv/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/")
    assert found["LD_LIBRARY_PATH"] == VARIABLES["LD_LIBRARY_PATH"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("packages: [nvidia-cuda-runtime]", "is built for CUDA 13, and base_image holds CUDA 12.6"),
        ("cuda: '12.8'", "cuda is 12.8, and base_image holds CUDA 12.6.3"),
        ("cuda: '12.6'\npackages: [nvidia-cuda-runtime-cu12==12.8.90]", "torch has them for 12.1"),
    ],
)
def test_what_cannot_run_is_refused(plain: Plain, text: str, told: str, tmp_path: Path) -> None:
    """By the exit code of locks, with the way out, and no lock is written."""
    done = plain.host.run("lock", based(plain, tmp_path, text))
    assert done.returncode == 4
    assert told in done.stderr
    assert not (tmp_path / "pylock.toml").exists()


def test_bases_are_brought_up_to_date(plain: Plain, tmp_path: Path) -> None:
    """In the spec's text, and in its lock; packages stay, and nothing is told twice."""
    reference = RegistryReference.parse(f"{plain.base.replace('12.6.3', '12.6.4')}")
    client = RegistryClient()
    client.push(stand_in(tmp_path, plain.host, plain.image), reference)
    first = client.manifest_digest(reference)
    spec = tmp_path / "spec.yaml"
    text = f"# pinned\nbase_image: {reference}@{first}\nobject_storage: false\n"
    spec.write_text(f"{text}packages: [iniconfig==2.0.0]\n")
    assert "none -> " in plain.host.run("bases", "update", tmp_path).stdout
    spec.write_text(f"{text}packages: [iniconfig]\n")
    assert plain.host.run("bases", "update", tmp_path).stdout == ""

    newer = assemble(
        None,
        [Addition(plain.image.layers[0], "Debian, newer")],
        Settings(environment=VARIABLES),
        platform=plain.image.platform,
    )
    client.push(newer, reference)
    done = plain.host.run("bases", "update", tmp_path)
    assert done.stdout == (
        f"{spec} linux/amd64 {reference}@{newer.digest}: {first} -> {newer.digest}\n"
    )
    assert spec.read_text() == f"{text}packages: [iniconfig]\n".replace(str(first), newer.digest)
    lock = (tmp_path / "pylock.toml").read_text()
    assert newer.digest in lock
    assert "iniconfig-2.0.0-py3" in lock
