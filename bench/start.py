# SPDX-License-Identifier: Apache-2.0
"""Task starts: an int in and an int out, through files, beside bare Python, flytekit and flyte 2.

All run in one image, which has both peers, started by one program inside it.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from bench.measure import medians, table
from entrypoint.contract import execute_arguments
from entrypoint.wire.protobuf import encode
from imagekit.builders.build import build
from imagekit.builders.runtime import runtime_pin
from imagekit.engines import Mount, run_image
from imagekit.lock.ensure import ensure_lock
from imagekit.progress import Silent
from imagekit.spec.load import load_spec

_SPEC = """\
name: imagekit-bench/start
python_version: "3.11"
packages: [flytekit, flyte]
source_root: src
"""
_PLAIN = "def double(x: int) -> int:\n    return 2 * x\n"
_FLYTE = f"from flytekit import task\n\n\n@task\n{_PLAIN}"
_FLYTE_2 = f"""\
import flyte

env = flyte.TaskEnvironment(name="bench")


@env.task
{_PLAIN}"""
_WORK = "/run/bench"
_FLYTE_RESOLVER = "flytekit.core.python_auto_container.default_task_resolver"


def run(folder: Path, rounds: int) -> str:
    """A table of median milliseconds, a row for each way to start."""
    work = folder / "start"
    shutil.rmtree(work, ignore_errors=True)
    spec_path = _project(work)
    spec = load_spec(spec_path)
    locks = ensure_lock(spec, spec_path, locked=False, runtime=runtime_pin(), progress=Silent())
    image = build(spec, spec_path, locks, (f"oci:{work / 'image'}",), Silent()).image
    shared = work / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    shutil.copy2(Path(__file__).with_name("inside.py"), shared)
    inputs = {"literals": {"x": {"scalar": {"primitive": {"integer": 2}}}}}
    (shared / "inputs.pb").write_bytes(encode("LiteralMap", inputs))
    (shared / "flyte2.pb").write_bytes(_flyte_2_inputs(inputs["literals"]["x"]))
    with tarfile.open(shared / "code.tar.gz", "w:gz") as bundle:
        bundle.add(work / "src" / "plain.py", "plain.py")
    for prefix in ("code", "flyte2", "raw"):
        (shared / prefix).mkdir()
        (shared / prefix).chmod(0o777)
    (shared / "commands.json").write_text(json.dumps({"rounds": rounds, "commands": _commands()}))
    program = ["/opt/venv/bin/python", "-I", f"{_WORK}/inside.py", _WORK]
    if run_image(image, program, mounts=[Mount(shared, _WORK)]) != 0:
        raise SystemExit("the measurement inside the image failed")
    return _table(json.loads((shared / "results.json").read_text()))


def _commands() -> dict[str, list[str]]:
    """What is timed, by name; the first is the floor."""
    python = "/opt/venv/bin/python"
    runtime = "/opt/venv/lib/python3.11/site-packages/entrypoint/__main__.py"
    return {
        "python -I -c pass": [python, "-I", "-c", "pass"],
        "imagekit": [python, "-I", runtime, *_execute("plain", None)],
        "imagekit, fast-execute": [python, "-I", runtime, *_fast()],
        "pyflyte-execute": [
            "/opt/venv/bin/pyflyte-execute",
            *_execute("flyte_task", _FLYTE_RESOLVER)[1:],
        ],
        "flyte 2, a0": _flyte_2(),
    }


def _fast() -> list[str]:
    """The same task out of a code bundle."""
    bundle = ["--additional-distribution", f"{_WORK}/code.tar.gz", "--dest-dir", f"{_WORK}/code"]
    return ["fast-execute", *bundle, "--", *_execute("plain", None)]


def _flyte_2() -> list[str]:
    """As a worker that asks no controller, so that nothing but the task is run."""
    options = {
        "inputs": f"{_WORK}/flyte2.pb",
        "outputs-path": f"{_WORK}/flyte2",
        "raw-data-path": f"{_WORK}/raw",
        "checkpoint-path": f"{_WORK}/checkpoint",
        "run-base-dir": f"{_WORK}/base",
        "resolver": "flyte._internal.resolvers.default.DefaultTaskResolver",
        "version": "1",
        "run-name": "bench",
        "name": "a0",
        "org": "bench",
        "project": "bench",
        "domain": "bench",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    target = ["mod", "flyte2_task", "instance", "double"]
    return ["env", "FLYTE_CLUSTERED_WORKER=1", "/opt/venv/bin/a0", *words, *target]


def _flyte_2_inputs(literal: Mapping[str, object]) -> bytes:
    """flyteidl2.task.Inputs: field 1, a NamedLiteral of name (1) and value (2)."""
    value = encode("Literal", dict(literal))
    named = b"\x0a\x01x\x12" + bytes([len(value)]) + value
    return b"\x0a" + bytes([len(named)]) + named


def _execute(module: str, resolver: str | None) -> list[str]:
    return execute_arguments(
        ["task-module", module, "task-name", "double"],
        inputs=f"{_WORK}/inputs.pb",
        output_prefix=f"{_WORK}/{module}",
        raw_output_prefix=f"{_WORK}/raw",
        resolver=resolver,
    )


def _project(folder: Path) -> Path:
    source = folder / "src"
    source.mkdir(parents=True)
    (source / "plain.py").write_text(_PLAIN)
    (source / "flyte_task.py").write_text(_FLYTE)
    (source / "flyte2_task.py").write_text(_FLYTE_2)
    (folder / "spec.yaml").write_text(_SPEC)
    return folder / "spec.yaml"


def _table(results: dict[str, dict[str, list[float]]]) -> str:
    milliseconds = {
        (name, column): [1000 * value for value in values]
        for name, columns in results.items()
        for column, values in columns.items()
    }
    middle = medians(milliseconds)
    for name in results:
        floor = middle["python -I -c pass", "cpu ms"]
        middle[name, "cpu ms over bare Python"] = middle[name, "cpu ms"] - floor
    return table(middle, "{:.1f}")
