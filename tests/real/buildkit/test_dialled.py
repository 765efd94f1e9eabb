# SPDX-License-Identifier: Apache-2.0
"""Workers behind `buildctl dial-stdio` in a container or a pod: real BuildKit at the end of each.

The program is a stand-in that leads to the engine's own, and the cluster is a fake.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.builders.engine_images import loaded_base
from imagekit.buildkit.endpoint import find_endpoint
from imagekit.buildkit.engine import Engine
from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.status import Event
from imagekit.buildkit.transport import open_transport
from imagekit.buildkit.tree import Entry, arranged
from imagekit.buildkit.workers import describe
from imagekit.errors import BuildError, ImagekitError
from imagekit.layers.cache import LayerCache
from imagekit.layers.writer import LayerWriter
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.layout import read_layout
from imagekit.progress import Silent
from tests.fakes import fake_buildctl
from tests.fakes.certificates import Authority
from tests.fakes.fake_pods import FakePods

pytestmark = [pytest.mark.docker, pytest.mark.network]

BUILDCTL = str(Path(fake_buildctl.__file__))
FILES = {f"m/{number}": os.urandom(3000) for number in range(400)} | {"large": os.urandom(3 << 20)}


class Events(list[Event]):
    hear = list.append


def builds(address: str) -> None:
    """Send files to the worker at `address` and get them back, in an image's tar."""
    transport = open_transport(address, os.environ)
    try:
        assert "linux/amd64" in describe(transport).platforms
        result = io.BytesIO()
        trees = {
            "dockerfile": (Entry.made("Dockerfile", b"FROM scratch\nCOPY . /\n"),),
            "context": arranged(Entry.made(path, data) for path, data in FILES.items()),
        }
        solve(transport, Request(exporter="tar"), Offer(trees, result=result), Events())
    finally:
        transport.close()
    result.seek(0)
    with tarfile.open(fileobj=result) as archive:
        found = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
        assert {name: stream and stream.read() for name, stream in found.items()} == FILES


def refused(address: str) -> ImagekitError:
    with pytest.raises(ImagekitError) as raised:  # noqa: PT012 - at the first or second step
        transport = open_transport(address, os.environ)
        try:
            describe(transport)
        finally:
            transport.close()
    assert "grpc" not in str(raised.value).lower()
    return raised.value


@pytest.fixture(scope="module")
def image(folder: Path) -> str:
    """A Debian with a program `buildctl`, in the engine."""

    def write(writer: LayerWriter) -> None:
        script = f"#!/usr/bin/python3.11\n{Path(BUILDCTL).read_text()}"
        writer.file("usr/local/bin/buildctl", script.encode(), mode=0o755)

    below = read_layout(folder / "native")
    program = LayerCache().make(f"buildctl {Path(BUILDCTL).read_text()}", write)
    additions = [Addition(below.layers[0], "Debian"), Addition(program, "buildctl")]
    made = assemble(None, additions, Settings(command=["sleep", "600"]), platform=below.platform)
    return loaded_base(Engine(find_endpoint(os.environ)), made, Silent())


@pytest.fixture(scope="module")
def containers(image: str) -> Iterator[dict[str, str]]:
    """Names of containers, by what is wrong with each."""
    socket = find_endpoint(os.environ).url.removeprefix("unix://")
    options = {
        "right": ["--volume", f"{socket}:/run/buildkit/buildkitd.sock"],
        "no worker": [],
        "no program": ["--env", "PATH=/usr/bin"],
        "stopped": [],
    }
    names = {what: f"buildkit-dialled-{uuid.uuid4().hex[:12]}" for what in options}
    try:
        for what, chosen in options.items():
            verb = ["create"] if what == "stopped" else ["run", "--detach"]
            plain = ["--network", "none", "--name", names[what]]
            subprocess.run(
                ["docker", *verb, *plain, *chosen, image], capture_output=True, check=True
            )
        yield names
    finally:
        remove = ["docker", "rm", "--force", *names.values()]
        subprocess.run(remove, capture_output=True, check=False)


def test_a_worker_in_a_container(containers: dict[str, str]) -> None:
    """By the engine's exec: it says what it is, and builds."""
    builds(f"docker-container://{containers['right']}")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("absent", "No such container"),
        ("stopped", "is not running"),
        ("no program", 'there is no BuildKit at docker-container://.*"buildctl"'),
        ("no worker", r"the program in the container ended: error: dial unix .*No such file"),
    ],
)
def test_a_container_without_a_worker_is_one_clear_error(
    containers: dict[str, str], what: str, message: str
) -> None:
    """In the words of the engine or of the program, and none of gRPC's."""
    name = containers.get(what, "buildkit-dialled-absent")
    assert re.search(message, refused(f"docker-container://{name}").message)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Where the program `buildctl` of a fake pod finds a worker."""
    socket = find_endpoint(os.environ).url.removeprefix("unix://")
    monkeypatch.setenv("FAKE_BUILDCTL_ENGINE", socket)
    return monkeypatch


@pytest.mark.kubernetes
@pytest.mark.parametrize("version", [4, 5])
def test_a_worker_in_a_pod(environ: pytest.MonkeyPatch, tmp_path: Path, version: int) -> None:
    """By the cluster's exec, over TLS, as the account of the chosen context."""
    authority = Authority.new(tmp_path / "authority")
    command = [sys.executable, BUILDCTL]
    with FakePods({"worker": command}, version=version, tls=authority.server()) as pods:
        path = pods.kubeconfig(tmp_path, authority.issue("client"))
        environ.setenv("KUBECONFIG", str(path))
        builds("kube-pod://worker?namespace=builds&container=buildkitd&context=here")
    (asked,) = pods.asked
    assert asked["namespace"] == ["builds"]
    assert asked["container"] == ["buildkitd"]
    assert asked["command"] == ["buildctl", "dial-stdio"]


@pytest.mark.kubernetes
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("absent", r'reaching pod default/absent: 404 Not Found: pods "absent" not found'),
        ("pending", r'pod default/pending: 500 .*: unable .* container not found \("buildkitd"\)'),
        ("done", r"pod default/done: 400 Bad Request: cannot exec .* phase is Succeeded"),
        ("bare", r'the program in pod default/bare ended: exec: ".*none": executable file not'),
        ("idle", r"the program in pod default/idle ended: error: dial unix .*: No such file"),
        ("other", r"there is no BuildKit at kube-pod://other: hello"),
        ("worker?context=other", r"reaching pod default/worker: .*refused"),
        ("worker?context=none", r"needs a configuration of kubectl: .*none"),
    ],
)
def test_a_pod_without_a_worker_is_one_clear_error(
    environ: pytest.MonkeyPatch, tmp_path: Path, address: str, message: str
) -> None:
    """In the words of the cluster or of the program, and none of gRPC's."""
    environ.setenv("FAKE_BUILDCTL_ENGINE", str(tmp_path / "none"))
    programs = {
        "bare": [str(tmp_path / "none")],
        "idle": [sys.executable, BUILDCTL],
        "other": ["echo", "hello"],
    }
    with FakePods(programs) as pods:
        environ.setenv("KUBECONFIG", str(pods.kubeconfig(tmp_path)))
        error = refused(f"kube-pod://{address}")
    assert re.search(message, error.message)
    assert "canary" not in error.message


@pytest.mark.kubernetes
def test_no_configuration_of_kubectl_is_said(environ: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the variable that names one."""
    environ.setenv("KUBECONFIG", str(tmp_path / "none"))
    error = refused("kube-pod://worker")
    assert isinstance(error, BuildError)
    assert "needs a configuration of kubectl" in error.message
    assert "KUBECONFIG" in str(error.hint)
