# SPDX-License-Identifier: Apache-2.0
"""Builds of one well-known set of packages, pushed: cold, unchanged, changed, one package more."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import generated
from bench.engine import Engine, Registry, find_engine, registry
from bench.measure import Timing, medians, table
from bench.ours import Ours
from bench.peer import Peer, load_base

PACKAGES = ("scikit-learn", "pandas", "pyarrow", "xgboost", "matplotlib")
ONE_MORE = "rich"
PEERS = ("dockerfile", "flytekit", "flyte")
_QUICK = 5
"""How often the steps are done that take no time."""

Figures = dict[tuple[str, str], list[float]]


class Contestant(Protocol):
    """Builds a spec's image and pushes it; `forget` goes back to a machine with the base alone."""

    @property
    def name(self) -> str: ...

    def forget(self) -> None: ...

    def build(self, spec: Path) -> Timing: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What to time: beside which of PEERS, and whether .pyc are made."""

    folder: Path
    rounds: int
    bytecode: bool
    peers: Sequence[str]
    packages: tuple[str, ...] = PACKAGES


@dataclass(frozen=True, slots=True)
class Projects:
    """Specs: the packages, the packages and one more, and none."""

    full: Path
    more: Path
    bare: Path

    def touch(self, number: int) -> None:
        """Change one line of the one source file."""
        (self.full.parent / "src" / "task.py").write_text(f"ROUND = {number}\n")


@dataclass(frozen=True, slots=True)
class _Bench:
    projects: Projects
    registry: Registry
    ours: Ours
    contestants: Sequence[Contestant]
    seconds: Figures
    megabytes: Figures

    def measure(
        self, step: str, spec: Path, contestants: Sequence[Contestant] | None = None
    ) -> None:
        """Every contestant once, in turn: what the machine does meanwhile hits all."""
        for each in contestants or self.contestants:
            before = self.registry.size_bytes
            timing = each.build(spec)
            self.seconds[step, each.name].append(timing.wall_seconds)
            self.megabytes[step, each.name].append((self.registry.size_bytes - before) / 1e6)


def run(request: Request) -> str:
    """Tables of median seconds and of megabytes that the registry did not have."""
    folder = request.folder / "build"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    engine = find_engine() if request.peers else None
    if request.peers and engine is None:
        sys.stderr.write("no Docker Engine with BuildKit here: imagekit alone\n")
    if engine is not None and {"flytekit", "flyte"} & set(request.peers):
        generated.install(folder)
    seconds: Figures = defaultdict(list)
    megabytes: Figures = defaultdict(list)
    for number in range(request.rounds):
        with _prepared(folder / str(number), request, engine, seconds, megabytes) as bench:
            _round(bench, engine)
    tables = [table(medians(seconds), "{:.2f}"), table(medians(megabytes), "{:.3f}")]
    return "Seconds\n\n{}\nMB that were new to the registry\n\n{}".format(*tables)


def _round(bench: _Bench, engine: Engine | None) -> None:
    projects, ours = bench.projects, bench.ours
    if engine is not None:
        engine.empty_cache()
    for each in bench.contestants:
        each.forget()
    bench.measure("cold", projects.full)
    for _ in range(_QUICK):
        bench.measure("no change", projects.full)
    for number in range(_QUICK):
        projects.touch(number)
        bench.measure("source changed", projects.full)
    bench.measure("one package more", projects.more)
    for number in range(_QUICK):
        ours.forget_all()
        projects.touch(100 + number)
        bench.measure("fresh machine, source changed", projects.full, [ours])
        bench.seconds["plan", ours.name].append(ours.time("plan", projects.full).wall_seconds)
    if engine is not None:
        _pulls(bench, engine)


def _pulls(bench: _Bench, engine: Engine) -> None:
    """`docker pull` of the image with one package more, where the one before it is there."""
    before, after = bench.projects.full, bench.projects.more
    for each in bench.contestants:
        if not isinstance(each, Ours | Peer):
            continue
        engine.forget(bench.registry.address)
        engine.empty_cache()
        engine.pull(each.reference(before), bench.ours.log)
        timing = engine.pull(each.reference(after), bench.ours.log)
        bench.seconds["docker pull, one package more", each.name].append(timing.wall_seconds)


@contextlib.contextmanager
def _prepared(
    folder: Path, request: Request, engine: Engine | None, seconds: Figures, megabytes: Figures
) -> Iterator[_Bench]:
    """A registry that has the base alone, locks, and the contestants."""
    folder.mkdir()
    with registry(folder) as store:
        projects = _projects(folder, request, store.address)
        ours = Ours(folder / "ours", folder / "log.txt")
        ours.prepare((projects.full, projects.more), projects.bare)
        contestants: list[Contestant] = [ours]
        if engine is not None:
            contestants += _peers(folder, request, engine, ours, store.address)
        yield _Bench(projects, store, ours, contestants, seconds, megabytes)
        if engine is not None:
            engine.forget(store.address)


def _peers(
    folder: Path, request: Request, engine: Engine, ours: Ours, address: str
) -> Iterator[Contestant]:
    base = load_base(engine, ours.base_archive, f"{address}/bases/plain:1")
    if "dockerfile" in request.peers:
        repository = f"{address}/imagekit-bench/peer"
        yield Peer(engine, base, repository, folder, ours.log, request.bytecode)
    if {"flytekit", "flyte"} & set(request.peers):
        shared = folder.parent
        with_uv = generated.make_base(engine, base, shared, f"{address}/bases/uv:1")
        names = {"flytekit": "flytekit's builder", "flyte": "flyte 2's builder"}
        for who, name in names.items():
            if who in request.peers:
                yield generated.Generated(who, name, engine, with_uv, address, shared, ours.log)


def _projects(folder: Path, request: Request, address: str) -> Projects:
    wanted = {"full": request.packages, "more": (*request.packages, ONE_MORE), "bare": ()}
    specs = {
        name: _project(folder / name, packages, request, address)
        for name, packages in wanted.items()
    }
    return Projects(**specs)


def _project(folder: Path, packages: tuple[str, ...], request: Request, address: str) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "task.py").write_text("ROUND = None\n")
    spec = folder / "spec.yaml"
    lines = [
        "name: imagekit-bench/ours",
        f"registry: {address}",
        'python_version: "3.11"',
        f"packages: [{', '.join(packages)}]",
        f"compile_bytecode: {str(request.bytecode).lower()}",
        "source_root: src",
    ]
    spec.write_text("".join(f"{line}\n" for line in lines))
    return spec
