# SPDX-License-Identifier: Apache-2.0
"""Many images of one repository: 12 cells of a matrix, and 100 specs that share their layers.

All is pushed to a registry of our own, which has the bases; the one for CUDA is a stand-in. Locks
are made before the clock starts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import bases
from bench.engine import Registry, registry
from bench.measure import table
from bench.ours import Ours
from imagekit.lock import file
from imagekit.spec.load import load_specs

PYTHONS = ("3.11", "3.13")
SHARED = ("pandas", "scikit-learn", "pyarrow")
SETS = ("duckdb", "requests")
SPECS = 100
_SMALL = ("rich", "click", "jinja2", "pyyaml", "tqdm")
_NEW = ("idna", "attrs", "toolz", "tabulate", "zipp")


@dataclass(frozen=True, slots=True)
class _Fleet:
    """`figures` by step and column."""

    ours: Ours
    registry: Registry
    figures: dict[tuple[str, str], float] = field(default_factory=dict)

    def measure(self, step: str, *arguments: str | Path) -> float:
        size_bytes, images = self.registry.size_bytes, self.registry.images
        timing = self.ours.time(*arguments)
        seconds = timing.wall_seconds
        self.figures[step, "seconds"] = seconds
        self.figures[step, "CPU seconds"] = timing.cpu_seconds
        self.figures[step, "MB new to the registry"] = (self.registry.size_bytes - size_bytes) / 1e6
        self.figures[step, "images new to it"] = self.registry.images - images
        return seconds


def run(work: Path) -> str:
    """Two tables: of the cells, and of the specs."""
    folder = work / "fleet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return f"12 cells\n\n{_cells(folder / 'cells')}\n{SPECS} specs\n\n{_specs(folder / 'specs')}"


def _cells(folder: Path) -> str:
    folder.mkdir()
    with registry(folder) as store:
        fleet = _Fleet(Ours(folder / "ours", folder / "log.txt"), store)
        fleet.ours.folder.mkdir()
        below = bases.Bases(fleet.ours, folder / "bases", PYTHONS)
        below.push(store.address)
        specs = _cell_specs(store.address, folder / "repository")
        fleet.ours.run("lock", *sorted(specs.glob("*/spec.yaml")))
        largest = _largest(sorted(specs.glob("*/spec.yaml")))
        fleet.ours.forget_all()
        alone = fleet.measure("the largest image alone, cold", "build", largest, "--push")
    with registry(folder, store.address) as store:
        fleet = _Fleet(fleet.ours, store, fleet.figures)
        below.push(store.address)
        fleet.ours.forget_all()
        cold = fleet.measure("all, cold", "build", specs, "--push")
        fleet.figures["all, cold", "times the largest"] = cold / alone
        fleet.measure("nothing to do, build", "build", specs, "--push")
        fleet.measure("nothing to do, matrix", "matrix", specs)
        _comment(specs)
        fleet.measure("a comment edited", "build", specs, "--push")
        _bump(fleet, specs)
        rows = json.loads(fleet.ours.run("matrix", specs))["include"]
        fleet.figures["one package bumped", "images in the matrix"] = len(rows)
        fleet.measure("one package bumped", "build", specs, "--push")
    return table(fleet.figures, "{:.3g}")


def _cell_specs(address: str, specs: Path) -> Path:
    for python in PYTHONS:
        below = [bases.reference(address, python, name) for name in bases.NAMES]
        place = specs / f"py{python}"
        (place / "src").mkdir(parents=True)
        (place / "src" / "task.py").write_text("x = 1\n")
        (place / "spec.yaml").write_text(
            f"name: cells\nregistry: {address}\nsource_root: src\n"
            f"packages: [{', '.join(SHARED)}]\n"
            f"matrix:\n  base_image: [{', '.join(below)}]\n  packages: [{', '.join(SETS)}]\n"
        )
    return specs


def _largest(specs: Sequence[Path]) -> Path:
    """The image with the largest wheels of all, on the largest base."""
    loaded = {address: cell for spec in specs for address, cell in load_specs(spec).items()}
    cells = [x for x, cell in loaded.items() if bases.NAMES[-1] in str(cell.base_image)]
    return max(cells, key=lambda address: _wheel_bytes(file.lock_path(address)))


def _wheel_bytes(path: Path) -> int:
    return sum(wheel.size_bytes or 0 for lock in file.read(path) or () for wheel in lock.packages)


def _comment(specs: Path) -> None:
    for python in PYTHONS:
        path = specs / f"py{python}" / "spec.yaml"
        path.write_text(f"# of {python}\n{path.read_text()}")


def _bump(fleet: _Fleet, specs: Path) -> None:
    """Another release of the first set's package, on every base and Python."""
    for python in PYTHONS:
        path = specs / f"py{python}" / "spec.yaml"
        locks = [file.read(each) or () for each in path.parent.glob(f"pylock.*{SETS[0]}*.toml")]
        (version,) = {w.version for lock in locks for w in lock[0].packages if w.name == SETS[0]}
        text = path.read_text().replace(
            f"packages: [{SETS[0]},", f"packages: ['{SETS[0]}<{version}',"
        )
        path.write_text(text)
    fleet.ours.run("lock", *sorted(specs.glob("*/spec.yaml")))


def _specs(folder: Path) -> str:
    folder.mkdir()
    with registry(folder) as store:
        fleet = _Fleet(Ours(folder / "ours", folder / "log.txt"), store)
        fleet.ours.folder.mkdir()
        halves = folder / "first", folder / "second"
        for number in range(SPECS):
            half = halves[number >= SPECS // 2]
            extra = [_SMALL[number % len(_SMALL)]]
            if half is halves[1]:
                extra.append(_NEW[number % len(_NEW)])
            _spec(half / f"task-{number:02}", number, extra, store.address)
        _lock_each_set_once(fleet.ours, halves)
        fleet.ours.forget_all()
        first = fleet.measure("first fifty, cold", "build", halves[0], "--push")
        second = fleet.measure("second fifty, 5 new layers", "build", halves[1], "--push")
        fleet.figures["second fifty, 5 new layers", "times the first"] = second / first
        fleet.measure("nothing to do", "build", *halves, "--push")
        fleet.measure("nothing to do, matrix", "matrix", *halves)
    return table(fleet.figures, "{:.3g}")


def _spec(place: Path, number: int, extra: Sequence[str], address: str) -> None:
    place.mkdir(parents=True)
    (place / "spec.yaml").write_text(
        f'name: fleet/task-{number:02}\nregistry: {address}\npython_version: "3.11"\n'
        f"packages: [{', '.join([*SHARED, *extra])}]\nenv: {{TASK: '{number}'}}\n"
    )


def _lock_each_set_once(ours: Ours, halves: Sequence[Path]) -> None:
    """Name and environment are no part of a lock: specs of the same packages have the same one."""
    made: dict[str, Path] = {}
    for spec in sorted(path for half in halves for path in half.rglob("spec.yaml")):
        packages = next(line for line in spec.read_text().splitlines() if "packages" in line)
        if packages in made:
            shutil.copy2(made[packages], spec.parent)
            continue
        ours.run("lock", spec)
        made[packages] = file.lock_path(spec)
