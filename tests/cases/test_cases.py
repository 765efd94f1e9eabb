# SPDX-License-Identifier: Apache-2.0
"""Every folder beside this file: build its image, call its task, and let it verify the outcome."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from entrypoint.contract import call_arguments
from imagekit.engines import Mount, run_image
from imagekit.oci.layout import read_layout
from imagekit.oci.validate import validate
from tests.real.builds import Host, new_host, shared_downloads

pytestmark = pytest.mark.network

CASES = sorted(path.parent.name for path in Path(__file__).parent.glob("*/spec.yaml"))
_IN = "/run/case/in"
_OUT = "/run/case/out"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return new_host(tmp_path_factory.mktemp("host"), shared_downloads())


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, host: Host, tmp_path: Path) -> None:
    """The case's own verify.py, run in its image, finds nothing wrong."""
    case = tmp_path / "case"
    shutil.copytree(Path(__file__).with_name(name), case)
    host.lock(case / "spec.yaml")
    digest = host.build(case / "spec.yaml", f"oci:{tmp_path / 'image'}")
    image = read_layout(tmp_path / "image")
    validate(image)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)  # the image's user is another one

    mounts = [Mount(case, _IN, read_only=True), Mount(outputs, _OUT)]
    call = call_arguments("task:main", inputs=f"{_IN}/inputs.json", output_prefix=_OUT)
    code = run_image(image, call, mounts=mounts)
    verify = ["/opt/venv/bin/python", f"{_IN}/verify.py", _OUT, str(code)]

    assert image.digest == digest
    assert run_image(image, verify, mounts=mounts) == 0
