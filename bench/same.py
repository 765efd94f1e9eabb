# SPDX-License-Identifier: Apache-2.0
"""`builder: docker` beside the docker program, which is given the same Dockerfile and context."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.engine import Engine, find_engine
from bench.measure import Timing, medians, table, timed
from bench.ours import Ours
from imagekit.builders.base_image import base_image
from imagekit.builders.engine_images import loaded_base
from imagekit.builders.frontend import Input, frontend_input, prepare
from imagekit.builders.model import BuildRequest
from imagekit.builders.runtime import runtime_pin
from imagekit.buildkit import endpoint, engine
from imagekit.buildkit.tree import Entry
from imagekit.lock.ensure import ensure_lock
from imagekit.progress import Silent
from imagekit.spec.load import load_spec

_NAME = "imagekit-bench/same"
_SPEC = f"""\
name: {_NAME}
python_version: "3.11"
packages: [scikit-learn, pandas]
source_root: src
builder: docker
builder_options: {{network: host}}
"""
_QUICK = 7


def run(folder: Path, rounds: int) -> str:
    """Tables of median seconds: by the clock, and of the client's processors."""
    found = find_engine()
    if found is None:
        return "no Docker Engine with BuildKit here\n"
    work = folder / "same"
    shutil.rmtree(work, ignore_errors=True)
    (work / "spec/src").mkdir(parents=True)
    spec = work / "spec/spec.yaml"
    spec.write_text(_SPEC)
    (work / "spec/src/task.py").write_text("ROUND = None\n")
    given = _given(spec)
    for name, entries in given.offer.trees.items():
        _write(entries, work / name)
    for name, data in given.offer.secrets.items():
        (work / name).write_bytes(data)
    measured: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    ours = Ours(work / "ours", work / "log.txt")
    ours.run("build", spec)  # the base is there, and what imagekit keeps between builds
    try:
        for _ in range(rounds):
            _round(found, ours, work, measured)
    finally:
        found.forget(_NAME)
    wall = {key: [each.wall_seconds for each in timings] for key, timings in measured.items()}
    cpu = {key: [each.cpu_seconds for each in timings] for key, timings in measured.items()}
    tables = [table(medians(values), "{:.3f}") for values in (wall, cpu)]
    return "Seconds\n\n{}\nCPU seconds of the client\n\n{}".format(*tables)


def _given(spec_path: Path) -> Input:
    spec = load_spec(spec_path)
    locks = ensure_lock(spec, spec_path, locked=False, runtime=runtime_pin(), progress=Silent())
    request = BuildRequest(spec, spec_path, locks, [], False, Silent(), os.environ)
    prepared = prepare(request, locks[0])
    there = engine.Engine(endpoint.find_endpoint(os.environ))
    base = loaded_base(there, base_image(prepared, jobs=False), Silent())
    return frontend_input(prepared, base, link=False)


def _write(entries: Sequence[Entry], folder: Path) -> None:
    for entry in entries:
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.is_folder:
            path.mkdir(exist_ok=True)
        elif entry.target is not None:
            path.symlink_to(entry.target)
        else:
            path.write_bytes(b"".join(entry.chunks()))
        if entry.target is None:
            path.chmod(entry.mode)


def _round(
    found: Engine, ours: Ours, work: Path, measured: dict[tuple[str, str], list[Timing]]
) -> None:
    """Both in turn, each on an empty build cache first, so that nobody has the other's steps."""
    for name in ("docker program", "builder: docker"):
        found.empty_cache()

        def build(step: str, name: str = name) -> None:
            if name == "builder: docker":
                timing = ours.time("build", work / "spec/spec.yaml")
            else:
                timing = timed(_command(found, work), found.environ, work / "log.txt")
            measured[step, name].append(timing)

        build("cold")
        for number in range(_QUICK):
            _edit(work, number + 1)
            build("source changed")
        for _ in range(_QUICK):
            build("no change")


def _edit(work: Path, number: int) -> None:
    for path in ("spec/src/task.py", "context/files-1/task.py"):
        (work / path).write_text(f"ROUND = {number}\n")


def _command(found: Engine, work: Path) -> list[str | Path]:
    secrets = [f"--secret=id={name},src={work / name}" for name in ("imagekit-uv", "imagekit-ca")]
    what = [f"--file={work}/dockerfile/Dockerfile", f"--tag={_NAME}:peer", "--target=image"]
    return [found.program, "build", "--network=host", *secrets, *what, work / "context"]
