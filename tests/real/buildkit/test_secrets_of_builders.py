# SPDX-License-Identifier: Apache-2.0
"""Passwords of an index and files for commands: builds with an engine need them and keep none."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.buildkit.session import Offer
from imagekit.buildkit.solve import Request, solve
from imagekit.buildkit.status import Event, StepOutput
from imagekit.buildkit.transport import open_transport
from imagekit.buildkit.tree import Entry
from tests.fakes.secret_index import INDEX_PASSWORD, Packages, serving
from tests.real.builds import Host

pytestmark = [pytest.mark.docker, pytest.mark.network]

FILE_CANARY = "canary-of-a-file-for-commands"
CANARIES = (INDEX_PASSWORD.encode(), FILE_CANARY.encode())


class Events(list[Event]):
    hear = list.append


@pytest.mark.parametrize("builder", ["docker", pytest.param("envd", marks=pytest.mark.envd)])
def test_no_secret_is_left_anywhere(host: Host, tmp_path: Path, builder: str) -> None:
    """Neither layers, history, output and caches here, nor what the engine keeps for the next."""
    (tmp_path / "published").mkdir()
    (tmp_path / "token").write_text(FILE_CANARY)
    spec = {
        "name": f"imagekit-test/secret-{builder}",
        "python_version": "3.11",
        "object_storage": False,
        "packages": ["listed"],
        "builder": builder,
    }
    if builder == "docker":
        spec["builder_options"] = {"network": "host"}
        spec["pip_secret_mounts"] = [["token", "/run/token"]]
        spec["commands"] = ["test -s /run/token && wc -c < /run/token > /root/length"]
    with serving(Packages(tmp_path / "published")) as address:
        index = f"http://user:{INDEX_PASSWORD}@{address}/simple"
        spec["pip_extra_index_url"] = [index]
        (tmp_path / "spec.yaml").write_text(json.dumps(spec))
        done = host.run("build", tmp_path / "spec.yaml")
    assert done.returncode == 0, done.stderr
    name = done.stdout.split(" ", maxsplit=1)[0].strip()
    try:
        saved = subprocess.run(["docker", "save", name], capture_output=True, check=True).stdout
        told = subprocess.run(
            ["docker", "history", "--no-trunc", name], capture_output=True, check=True
        ).stdout
        if builder == "docker":
            kept = kept_by_uv(tagged(name))
            assert kept
            assert True not in kept
    finally:
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)
    texts = [done.stdout.encode(), done.stderr.encode(), told, *members(saved), *written(host.root)]
    for canary in CANARIES:
        assert not [text[:200] for text in texts if canary in text]


def tagged(name: str) -> str:
    """A Dockerfile's FROM finds what an engine has by its tag alone."""
    repository = name.partition("@")[0]
    listed = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", repository]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    return name if "@" not in name else found[0]


def members(archive: bytes) -> Iterator[bytes]:
    """Documents and layers, which engines save as plain tars."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            stream = files.extractfile(member)
            if stream is not None:
                yield stream.read()


def written(root: Path) -> Iterator[bytes]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.read_bytes()


def kept_by_uv(image: str) -> list[bool]:
    """Of each small file in the cache that the steps of Dockerfiles share: whether it has one."""
    reversed_canaries = [canary[::-1] for canary in CANARIES]
    script = (
        "import os\n"
        "for folder, _, names in os.walk('/c'):\n"
        "    for name in names:\n"
        "        path = os.path.join(folder, name)\n"
        "        if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:\n"
        "            data = open(path, 'rb').read()\n"
        f"            print('has', any(each[::-1] in data for each in {reversed_canaries!r}))\n"
    )
    command = json.dumps(["/opt/venv/bin/python", "/run/search.py"])
    dockerfile = (
        f"FROM {image}\nUSER 0\nRUN --mount=type=cache,id=imagekit-uv,target=/c "
        f"--mount=type=bind,source=search.py,target=/run/search.py {command}\n"
    )
    trees = {
        "dockerfile": (Entry.made("Dockerfile", dockerfile.encode()),),
        "context": (Entry.made("search.py", f"{script}# {os.urandom(8).hex()}\n".encode()),),
    }
    events = Events()
    transport = open_transport("docker", os.environ)
    options = {"force-network-mode": "host"}
    wanted = Request(options, exporter="tar", entitlements=["network.host"])
    solve(transport, wanted, Offer(trees, result=io.BytesIO()), events)
    transport.close()
    printed = b"".join(event.text for event in events if isinstance(event, StepOutput))
    return [line == b"has True" for line in printed.splitlines() if line.startswith(b"has ")]
