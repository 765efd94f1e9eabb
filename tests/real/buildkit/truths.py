# SPDX-License-Identifier: Apache-2.0
"""The specs that every builder makes the same image of: each writes its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imagekit.layers.cache import LayerCache
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layout import read_layout, write_layout
from tests.fakes.wheels import make_wheel
from tests.real.buildkit.hostile import SPEC as HOSTILE
from tests.real.buildkit.hostile import write_project
from tests.real.builds import REPOSITORY

Spec = dict[str, Any]

_PLAIN: Mapping[str, Any] = {"python_version": "3.11", "object_storage": False}
_HASHES = """\
iniconfig==2.1.0 \\
    --hash=sha256:3abbd2e30b36733fee78f9c7f7308f2d0050e88f0087fd25c2645f63c773e1c7 \\
    --hash=sha256:9deba5723312380e77435581c6bf4935c94cbfab9b1ed33ef8d238ea168eb760
"""


def _example(name: str) -> Callable[[Path], Spec]:
    def write(root: Path) -> Spec:
        shutil.copytree(REPOSITORY / "examples" / name / "src", root / "src")
        found: Spec = {**_PLAIN, "name": f"examples/{name}", "source_root": "src"}
        return found

    return write


def hello(root: Path) -> Spec:
    """The smallest."""
    return _example("hello")(root)


def iris(root: Path) -> Spec:
    """Compiled extensions."""
    return {**_example("iris")(root), "packages": ["scikit-learn", "joblib"]}


def large(root: Path) -> Spec:
    """Twenty-one wheels of 640 MB: stages and layers of their own."""
    del root
    packages = ["scikit-learn", "pandas", "pyarrow", "xgboost", "matplotlib"]
    return {**_PLAIN, "name": "truth/large", "packages": packages}


def apt(root: Path) -> Spec:
    """Debian packages, one with maintainer scripts, and a command that uses them."""
    del root
    return {
        **_PLAIN,
        "name": "truth/apt",
        "apt_packages": ["jq", "tini"],
        "commands": ["jq -n '1 + 1' > /etc/two"],
    }


def hostile(root: Path) -> Spec:
    """Values, names and commands that are easily misread."""
    write_project(root)
    return {**HOSTILE, "name": "truth/hostile"}


def modes(root: Path) -> Spec:
    """Files copied to a folder of their own, for another user, without bytecode."""
    for number, mode in enumerate((0o600, 0o644, 0o755, 0o4755, 0o1777)):
        place = root / f"data/deep/er/{mode:o}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes([number]) * 70000)
        place.chmod(mode)
    (root / "data/deep/empty").mkdir()
    (root / "data/link").symlink_to("deep/er/644")
    return {
        **_PLAIN,
        "name": "truth/modes",
        "copy": ["data"],
        "workdir": "/srv/an app",
        "user": "0:0",
        "entrypoint": ["/bin/sh", "-c", "echo \"$HOME\" \\ 'x'"],
        "compile_bytecode": False,
        "packages": ["six"],
    }


def requirements(root: Path) -> Spec:
    """Versions and hashes by a requirements.txt."""
    (root / "requirements.txt").write_text(_HASHES)
    return {**_PLAIN, "name": "truth/requirements", "requirements": "requirements.txt"}


def wheels(root: Path) -> Spec:
    """A wheel of no index, with all that a wheel can bring: scripts, launchers, headers, data."""
    made = make_wheel(
        root,
        {
            "thing/__init__.py": b"def main() -> None: ...\n",
            "thing-1.0.data/scripts/thing-run": b"#!python\nimport thing\n",
            "thing-1.0.data/scripts/thing.sh": b"#!/bin/sh\necho thing\n",
            "thing-1.0.data/data/share/thing/some text": b"1",
            "thing-1.0.data/headers/thing.h": b"int thing;\n",
            "thing-1.0.data/platlib/thing_other.py": b"x = 1\n",
            "thing-1.0.dist-info/entry_points.txt": b"[console_scripts]\nthing = thing:main\n",
        },
        executable=frozenset({"thing-1.0.data/scripts/thing.sh"}),
    )
    return {**_PLAIN, "name": "truth/wheels", "packages": [f"thing @ {made.path.as_uri()}"]}


def plugin(root: Path) -> Spec:
    """What a plugin adds."""
    del root
    return {**_PLAIN, "name": "truth/plugin", "plugins": ["duckdb"]}


def cuda(root: Path) -> Spec:
    """A base from a layout that says what CUDA bases say, and has no user 1000."""
    write_layout(cuda_base(read_layout(root.parent / "base")), root / "base")
    return {**_PLAIN, "name": "truth/cuda", "base_image": "oci:base", "packages": ["six"]}


def cuda_wheels(root: Path) -> Spec:
    """CUDA by NVIDIA's wheels, which the loader is told of, beside libraries of Debian's."""
    del root
    return {
        **_PLAIN,
        "name": "truth/cuda-wheels",
        "cuda": "12.6",
        "apt_packages": ["jq"],
        "packages": ["nvidia-nvtx-cu12==12.6.77"],
    }


def cuda_base(image: Image) -> Image:
    """A stand-in: the Debian below an image, what NVIDIA's bases have, and no user but root."""

    def write(writer: Any) -> None:
        writer.file("usr/local/cuda-12.6/version.json", b'{"cuda": {"version": "12.6.3"}}')
        writer.symlink("usr/local/cuda", "/usr/local/cuda-12.6")
        writer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        writer.file("etc/ld.so.conf.d/000_cuda.conf", b"/usr/local/cuda/targets/lib\n")

    layer = LayerCache().make("cuda stand-in 2", write)
    settings = Settings(
        environment={
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
            "NVIDIA_REQUIRE_CUDA": 'cuda>=12.6 brand=tesla,driver>=470,driver<471 "x"',
            "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        },
        entrypoint=["/opt/nvidia/nvidia_entrypoint.sh"],
        command=["bash"],
        labels={"maintainer": "nobody <nobody@example.com>"},
    )
    additions = [Addition(image.layers[0], "Debian"), Addition(layer, "CUDA")]
    return assemble(None, additions, settings, platform=image.platform)


SMALL = (modes, requirements)
SLOW = (hello, iris, hostile, apt, wheels, plugin, cuda, cuda_wheels, large)


def write_truth(of: Callable[[Path], Spec], root: Path) -> None:
    """The folder of a spec: `native.yaml`, and one for each other builder."""
    root.mkdir()
    spec = of(root)
    others: dict[str, Spec] = {
        "native": {},
        "docker": {"builder": "docker", "builder_options": {"network": "host"}},
        "buildkit": {"builder": "buildkit", "builder_options": {"network": "host"}},
        "envd": {"builder": "envd"},
    }
    for name, builder in others.items():
        text = json.dumps({**spec, **builder}, ensure_ascii=False)
        (root / f"{name}.yaml").write_text(text, "utf-8")
