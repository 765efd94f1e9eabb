# SPDX-License-Identifier: Apache-2.0
"""The same tasks, by flytekit's own pyflyte-execute and by ours, on inputs that flytekit wrote.

`FLYTEKIT_PYTHON` names an interpreter that has flytekit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core.errors_pb2 import ErrorDocument
from flyteidl.core.literals_pb2 import LiteralMap
from google.protobuf.json_format import MessageToDict

from entrypoint.wire import msgpack

HERE = Path(__file__).parent
MAIN = HERE.parents[2] / "entrypoint" / "__main__.py"
FLYTEKIT = os.environ.get("FLYTEKIT_PYTHON", "")
RESOLVER = "flytekit.core.python_auto_container.default_task_resolver"
SUCCEEDING = [
    "integers",
    "several",
    "booleans",
    "moments",
    "maps",
    "untyped",
    "records",
    "optional_record",
    "choices",
    "days",
    "raw",
    "iterated",
    "paths",
]

if not FLYTEKIT and "flytekit" in os.environ.get("REQUIRE_REAL", "").split(","):
    raise RuntimeError("REQUIRE_REAL names flytekit, but FLYTEKIT_PYTHON is not set")
pytestmark = pytest.mark.skipif(not FLYTEKIT, reason="FLYTEKIT_PYTHON is not set")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flyte")
    for name in ("shared.py", "peer.py"):
        shutil.copy(HERE / name, path)
    subprocess.run([FLYTEKIT, "peer.py", str(path)], cwd=path, check=True, capture_output=True)
    return path


def run(workdir: Path, task: str, *, ours: bool) -> Path:
    """Run the same words by one of both; return the output prefix."""
    prefix = workdir / f"{task}-{'ours' if ours else 'theirs'}"
    words = [
        *("--inputs", f"{workdir}/{task}.pb", "--output-prefix", str(prefix)),
        *("--raw-output-data-prefix", f"{workdir}/raw", "--resolver", RESOLVER, "--"),
        *("task-module", "shared" if ours else "peer", "task-name", task),
    ]
    theirs = [str(Path(FLYTEKIT).parent / "pyflyte-execute")]
    start = [sys.executable, "-I", str(MAIN), "pyflyte-execute"] if ours else theirs
    subprocess.run([*start, *words], cwd=workdir, check=True, capture_output=True)
    return prefix


@pytest.mark.parametrize("task", SUCCEEDING)
def test_outputs_are_those_of_pyflyte_execute(workdir: Path, task: str) -> None:
    """Value by value, each read by the real flyteidl."""
    both = [
        LiteralMap.FromString((run(workdir, task, ours=ours) / "outputs.pb").read_bytes())
        for ours in (True, False)
    ]
    assert _comparable(both[0]) == _comparable(both[1])


def _comparable(message: Any) -> Any:
    """The message as plain data; MessagePack by value, and without a dataclass's JSON schema."""

    def visit(node: Any) -> Any:
        if isinstance(node, list):
            return [visit(each) for each in node]
        if not isinstance(node, dict):
            return node
        if node.get("tag") == "msgpack":
            return {"msgpack": msgpack.decode(b64decode(node["value"]))}
        return {
            key: visit(value)
            for key, value in node.items()
            if not (key == "metadata" and "simple" in node)
        }

    return visit(MessageToDict(message))


def test_the_error_document_is_read_as_flytes_is(workdir: Path) -> None:
    """Same code, kind and origin, and the same two parts of the message."""
    ours, theirs = (
        ErrorDocument.FromString((run(workdir, "fails", ours=each) / "error.pb").read_bytes()).error
        for each in (True, False)
    )
    assert (ours.code, ours.kind, ours.origin) == (theirs.code, theirs.kind, theirs.origin)
    for message in (ours.message, theirs.message):
        assert message.startswith("Trace:\n\n    Traceback (most recent call last):")
        assert message.rstrip().endswith("Message:\n\n    ValueError: no 1")
