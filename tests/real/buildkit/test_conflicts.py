# SPDX-License-Identifier: Apache-2.0
"""Wheels that contradict each other are refused by whoever builds, in the same words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fakes.wheels import make_wheel
from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.network]

BUILDERS = [
    "native",
    "docker",
    pytest.param("buildkit", marks=pytest.mark.worker),
    pytest.param("envd", marks=pytest.mark.envd),
]


@pytest.fixture(scope="module")
def rivals(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a spec with two wheels that write one path; pip and uv take both."""
    root = tmp_path_factory.mktemp("rivals")
    wheels = [
        make_wheel(root, {"shared/__init__.py": name.encode()}, name=name)
        for name in ("alpha", "rival")
    ]
    spec = {
        "name": "imagekit-test/rivals",
        "python_version": "3.11",
        "object_storage": False,
        "packages": [
            f"{wheel.path.name.split('-')[0]} @ {wheel.path.as_uri()}" for wheel in wheels
        ],
    }
    for builder in ("native", "docker", "buildkit", "envd"):
        options = {"network": "host"} if builder in ("docker", "buildkit") else {}
        found = {**spec, "builder": builder, "builder_options": options}
        (root / f"{builder}.yaml").write_text(json.dumps(found))
    host.lock(root / "native.yaml")
    for builder in ("docker", "buildkit", "envd"):
        shutil.copy(root / "pylock.native.toml", root / f"pylock.{builder}.toml")
    return root


@pytest.mark.parametrize("builder", BUILDERS)
def test_it_says_which_wheels_and_where(host: Host, rivals: Path, builder: str) -> None:
    """And what to do about it; no image is made."""
    done = host.run("build", "--locked", rivals / f"{builder}.yaml")
    assert done.returncode == 7, done.stdout + done.stderr
    error = done.stderr[done.stderr.index("error: ") :]
    assert "alpha-1.0" in error
    assert "rival-1.0" in error
    assert "both write /opt/venv/lib/python3.11/site-packages/shared/__init__.py" in error
    assert "leave one of the two out of the spec" in error
