# SPDX-License-Identifier: Apache-2.0
"""An image of well-known packages, looked at by others and from within."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagekit.engines import Mount, run_image
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.unpack import unpack
from imagekit.oci.validate import validate
from tests.fakes.images import file_layer
from tests.real.builds import Host, layers_of, new_host, shared_downloads

pytestmark = pytest.mark.network

SMALL = ("cryptography", "flask", "lxml", "pandas", "pillow", "pip", "requests")
LARGE = ("jupyterlab", "matplotlib", "pandas", "pip", "pyarrow", "scikit-learn", "xgboost")
INSTALLED_BY_DEBIAN = re.compile(r'bytecode\\":[^{}]*python3\.11-minimal=')
TASK = "def double(x: int) -> int:\n    return 2 * x\n"


@dataclass(frozen=True, slots=True)
class Made:
    """A built image: the layout's folder, what was printed, and how it was built."""

    host: Host
    spec: Path
    layout: Path
    digest: str

    @property
    def image(self) -> Image:
        return read_layout(self.layout)


@pytest.fixture(
    scope="module",
    params=[SMALL, pytest.param(LARGE, marks=pytest.mark.slow)],
    ids=["small", "large"],
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("image")
    (folder / "src").mkdir()
    (folder / "src" / "task.py").write_text(TASK)
    spec = folder / "spec.yaml"
    spec.write_text(
        "name: tests/image\npython_version: '3.11'\nsource_root: src\n"
        f"packages: [{', '.join(request.param)}]\n"
    )
    new_host(folder / "locking").lock(spec)
    host = new_host(folder / "host", shared_downloads(), spec.with_name("pylock.toml"))
    return Made(host, spec, folder / "layout", host.build(spec, f"oci:{folder / 'layout'}"))


def test_it_is_true(made: Made) -> None:
    """Every digest, size and diff_id is right, and the digest printed is the image's."""
    validate(made.image)
    assert made.image.digest == made.digest


def test_from_within(made: Made, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`pip check` is clean, all modules import, RECORDs are true, bytecode is used, and so on."""
    shutil.copy(Path(__file__).with_name("inside_image.py"), tmp_path)
    tmp_path.chmod(0o755)
    program = ["/opt/venv/bin/python", "/run/check/inside_image.py", "pandas"]
    mounts = [Mount(tmp_path, "/run/check", read_only=True)]

    assert run_image(made.image, program, mounts=mounts) == 0
    assert {
        check: [] for check in ("requirements", "imports", "records", "bytecode", "system")
    } == (json.loads(capfd.readouterr().out.splitlines()[-1]))


def test_its_entrypoint(made: Made, capfd: pytest.CaptureFixture[str]) -> None:
    """A task's outputs are JSON on stdout."""
    assert run_image(made.image, ["call", "task:double", "x=21"]) == 0
    assert 42 in json.loads(capfd.readouterr().out).values()


@pytest.mark.skopeo
def test_skopeo_reads_it(made: Made, tmp_path: Path) -> None:
    """skopeo finds the same digest and layers, and copies it, which checks every digest."""
    shown = json.loads(output("skopeo", "inspect", f"oci:{made.layout}:latest"))
    assert shown["Digest"] == made.digest
    assert shown["Layers"] == [layer.digest for layer in made.image.layers]
    output("skopeo", "--insecure-policy", "copy", f"oci:{made.layout}:latest", f"dir:{tmp_path}/d")


@pytest.mark.umoci
def test_umoci_unpacks_the_same_tree(made: Made, tmp_path: Path) -> None:
    """umoci makes of the layers what we make of them, file by file."""
    output("umoci", "unpack", "--rootless", "--image", f"{made.layout}:latest", tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    unpack(made.image, tmp_path / "ours")

    ours, theirs = tree(tmp_path / "ours"), tree(tmp_path / "theirs" / "rootfs")
    assert len(ours) > 3000
    assert ours == theirs


@pytest.mark.docker
def test_docker_loads_and_runs_it(made: Made, tmp_path: Path) -> None:
    """`docker load`, then the ENTRYPOINT with the image's own user and settings."""
    archive = tmp_path / "image.tar"
    assert made.host.build(made.spec, f"docker-archive:{archive}") == made.digest
    loaded = output("docker", "load", "--input", archive).strip().rpartition(" ")[2]
    try:
        run = ("docker", "run", "--rm", "--network=none", loaded, "call", "task:double", "x=21")
        assert 42 in json.loads(output(*run)).values()
    finally:
        output("docker", "rmi", "--force", loaded)


def test_other_bases_with_its_interpreter_share_its_layers(made: Made, tmp_path: Path) -> None:
    """An image with the same Python as a base, and more: nothing is made for it again."""
    more = file_layer(tmp_path, {"usr/local/lib/more": os.urandom(1000)})
    layers = [Addition(made.image.layers[0], "Debian"), Addition(more, "more")]
    base = assemble(None, layers, Settings(), platform=made.image.platform)
    write_layout(base, tmp_path / "base")
    spec = tmp_path / "spec.yaml"
    text = made.spec.read_text().replace("source_root: src\n", "")
    spec.write_text(f"{text}base_image: oci:base\n")
    made.host.lock(spec)

    done = made.host.run("build", "--locked", spec, "--to", f"oci:{tmp_path / 'layout'}")

    assert done.returncode == 0, done.stderr
    built = layers_of(tmp_path / "layout")
    wheels = [each for each in built if "==" in each[0] or "runtime" in each[0]]
    assert len(wheels) > len(SMALL)
    assert set(wheels) < set(layers_of(made.layout))
    assert [] == re.findall(r"making (\S+)", done.stderr)


def test_a_plan_finds_layers_by_the_interpreter_as_the_build_does(made: Made) -> None:
    """Made on another base, they are known by what its interpreter is, not by Debian's name."""
    planned = json.loads(plan(made))
    recipes = made.host.cache / "layers" / "recipes"
    named = [path for path in recipes.iterdir() if INSTALLED_BY_DEBIAN.search(path.read_text())]
    assert len(named) > len(SMALL)
    for path in named:
        path.unlink()

    assert json.loads(plan(made)) == planned
    assert (planned["digest"], planned["unknown"]) == (made.digest, [])
    assert made.host.build(made.spec) == made.digest


def plan(made: Made) -> str:
    return output_of(made.host.run("plan", "--locked", "--output", "json", made.spec))


def output(*command: str | Path) -> str:
    return output_of(subprocess.run(command, capture_output=True, text=True, check=False))


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(root: Path) -> dict[str, tuple[str, str]]:
    """Path -> kind, permissions, and content or target."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            mode = oct(path.lstat().st_mode)
            content = ""
            if path.is_symlink():
                content = os.readlink(path)
            elif path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(root).as_posix()] = (mode, content)
    return found
