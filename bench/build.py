# SPDX-License-Identifier: Apache-2.0
"""Builds of one well-known set of packages: cold, unchanged, source changed, one package more."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Timing, medians, table
from bench.ours import Ours
from bench.peer import Peer, find_docker, load_base, registry

PACKAGES = ("scikit-learn", "pandas", "pyarrow", "xgboost", "matplotlib")
ONE_MORE = "rich"


@dataclass(frozen=True, slots=True)
class Request:
    """What to time: `peer` False leaves Docker out, `bytecode` is whether .pyc are made."""

    folder: Path
    rounds: int
    bytecode: bool
    peer: bool
    packages: tuple[str, ...] = PACKAGES


@dataclass(frozen=True, slots=True)
class Projects:
    """Specs: the packages, the packages and one more, and none."""

    full: Path
    more: Path
    bare: Path

    @property
    def source(self) -> Path:
        return self.full.parent / "src" / "task.py"


def run(request: Request) -> str:
    """A table of median seconds, a row for each step."""
    folder = request.folder / "build"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    projects = _projects(folder, request)
    ours = Ours(folder / "ours", folder / "log.txt")
    ours.prepare((projects.full, projects.more), projects.bare)
    program = find_docker() if request.peer else None
    if request.peer and program is None:
        sys.stderr.write("no Docker Engine with BuildKit here: imagekit alone\n")
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(request.rounds):
        with contextlib.ExitStack() as stack:
            peer = None
            if program is not None:
                address = stack.enter_context(registry(folder))
                base = load_base(program, ours.base_archive)
                peer = Peer(program, base, folder, ours.log, address)
            for step, contestant, timing in _round(projects, ours, peer, request, number):
                seconds[step, contestant].append(timing.wall_seconds)
    return table(medians(seconds), "{:.2f}")


def _round(
    projects: Projects, ours: Ours, peer: Peer | None, request: Request, number: int
) -> Iterator[tuple[str, str, Timing]]:
    """Every step once, interleaved: what the machine does meanwhile hits both."""
    ours.forget()
    if peer is not None:
        peer.forget()
        if peer.registry is not None:
            peer.push_base()
    for step in ("cold", "no change", "source changed", "one package more"):
        if step == "source changed":
            projects.source.write_text(f"ROUND = {number}\n")
        spec = projects.more if step == "one package more" else projects.full
        yield step, "imagekit", ours.build(spec)
        if peer is not None:
            yield step, "Dockerfile, uv", peer.build(spec, bytecode=request.bytecode)
            if peer.registry is not None:
                yield step, "and its push", peer.push()


def _projects(folder: Path, request: Request) -> Projects:
    wanted = {"full": request.packages, "more": (*request.packages, ONE_MORE), "bare": ()}
    specs = {name: _project(folder / name, packages, request) for name, packages in wanted.items()}
    return Projects(**specs)


def _project(folder: Path, packages: tuple[str, ...], request: Request) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "task.py").write_text("ROUND = None\n")
    spec = folder / "spec.yaml"
    lines = [
        "name: imagekit-bench/ours",
        'python_version: "3.11"',
        f"packages: [{', '.join(packages)}]",
        f"compile_bytecode: {str(request.bytecode).lower()}",
        "source_root: src",
    ]
    spec.write_text("".join(f"{line}\n" for line in lines))
    return spec
