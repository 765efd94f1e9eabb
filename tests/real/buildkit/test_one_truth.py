# SPDX-License-Identifier: Apache-2.0
"""One spec and one lock lead to one image, whoever builds it: `imagekit diff` ends with 0."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.compare.allowed import ENGINE, KINDS
from tests.real.buildkit.truths import SLOW, SMALL, Spec, write_truth
from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.network]

TRUTHS = [
    *(pytest.param(of, id=of.__name__) for of in SMALL),
    *(pytest.param(of, id=of.__name__, marks=pytest.mark.slow) for of in SLOW),
]
BUILDERS = [
    "docker",
    pytest.param("buildkit", marks=pytest.mark.worker),
    pytest.param("envd", marks=pytest.mark.envd),
]


@pytest.fixture(scope="module")
def truths(host: Host, folder: Path) -> Path:
    """Where the specs lie, and a base that some of them need."""
    root = host.root / "truths"
    root.mkdir()
    (root / "base").symlink_to(folder / "native")
    return root


def built(host: Host, truths: Path, of: Callable[[Path], Spec]) -> Path:
    """The folder of a spec, with its lock and the native builder's image as `native`."""
    root = truths / of.__name__
    if not (root / "native").exists():
        write_truth(of, root)
        host.lock(root / "native.yaml")
        for name in ("docker", "buildkit", "envd"):
            shutil.copy(root / "pylock.native.toml", root / f"pylock.{name}.toml")
        host.build(root / "native.yaml", f"oci:{root}/native")
    return root


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("of", TRUTHS)
def test_it_is_the_native_builders_image(
    host: Host,
    truths: Path,
    of: Callable[[Path], Spec],
    builder: str,
    record_property: Callable[[str, object], None],
) -> None:
    """The same packages, files and settings, but for the kinds of difference that are allowed."""
    root = built(host, truths, of)
    if builder == "buildkit":
        made = f"oci:{root}/buildkit"
        done = host.run("build", "--locked", root / "buildkit.yaml", "--to", made)
    else:
        done = host.run("build", "--locked", root / f"{builder}.yaml")
        made = "docker-daemon:" + done.stdout.split(" ", maxsplit=1)[0].strip()
    assert done.returncode == 0, done.stderr
    try:
        compared = host.run("diff", f"oci:{root}/native", made, "--output", "json")
    finally:
        if builder != "buildkit":
            remove = ["docker", "rmi", "--force", made.partition(":")[2]]
            subprocess.run(remove, capture_output=True, check=False)
    assert compared.returncode == 0, compared.stdout[-4000:] + compared.stderr
    allowed = json.loads(compared.stdout)["allowed"]
    assert set(allowed) <= {kind.name for kind in KINDS} | {ENGINE}
    record_property("allowed", allowed)
