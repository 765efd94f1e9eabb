# SPDX-License-Identifier: Apache-2.0
"""From spec and lock to steps. Pure, but for reading the files that the spec copies."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagekit.errors import BuildError
from imagekit.layers.grouping import Weighed, arrange
from imagekit.layers.tree import Node, scan
from imagekit.layers.venv import Venv
from imagekit.lock.model import Lock, LockedWheel
from imagekit.planning.steps import (
    AddUser,
    Configure,
    CopyFiles,
    InstallDebian,
    InstallRuntime,
    InstallWheels,
    MakeEnvironment,
    RunCommands,
    StartFromDebian,
    StartFromImage,
    Step,
)
from imagekit.spec.model import ImageSpec

LAYER_BUDGET = 100
"""Of a whole image; engines stop at 127, and other tools may want to add some."""

_OTHER_LAYERS = 6
_DEBIAN_LAYERS = 9
"""At most, of `apt_packages`: eight groups of packages, and what configures them."""

_LEAST_WHEEL_LAYERS = 10
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WORKDIR = "/root"


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order, base first, and the tag that their result is known by."""

    steps: tuple[Step, ...]
    venv: Venv
    tag: str


def make_plan(
    spec: ImageSpec,
    folder: Path,
    lock: Lock,
    *,
    base_layers: int,
    leave_out: Collection[Path],
    made_by: Mapping[str, str],
    only: Collection[Path] | None = None,
) -> Plan:
    """Plan the build of `spec`.

    Args:
        spec: what is asked for.
        folder: what the spec's paths are relative to.
        lock: what it was resolved to.
        base_layers: how many layers the base has.
        leave_out: absolute paths that are never copied: the spec and its lock.
        made_by: the builder, and what of its version its layers depend on.
        only: of `source_root` these files, absolute, and no others.
    """
    venv = Venv(lock.target.python_path, lock.target.python_version)
    others = _OTHER_LAYERS + (_DEBIAN_LAYERS if lock.apt else 0) + bool(spec.commands)
    budget = max(LAYER_BUDGET - base_layers - others, _LEAST_WHEEL_LAYERS)
    steps: list[Step] = [*_base(lock)]
    if lock.apt is not None:
        steps.append(InstallDebian(lock.apt))
    steps.append(MakeEnvironment(venv))
    steps += _wheels(lock.packages, budget, bytecode=spec.compile_bytecode)
    if lock.runtime is not None:
        named = any(wheel.name == "flytekit" for wheel in lock.packages)
        steps.append(InstallRuntime(lock.runtime, spec.compile_bytecode, flyte_names=not named))
    steps += _copies(spec, folder, leave_out, only)
    configure = _configure(spec, venv)
    if spec.commands:
        steps.append(RunCommands(tuple(spec.commands), configure.env))
    steps.append(configure)
    return Plan(tuple(steps), venv, _tag(lock, spec, steps, configure, made_by))


def _base(lock: Lock) -> Iterator[Step]:
    if lock.base["kind"] == "debian":
        yield StartFromDebian(lock.base)
        return
    yield StartFromImage(str(lock.base["reference"]), str(lock.base["digest"]))
    passwd = str(lock.base["passwd"])
    users = [line.split(":") for line in passwd.splitlines()]
    if not any(len(user) > 2 and user[2] == "1000" for user in users):
        yield AddUser(passwd)


def _wheels(
    packages: tuple[LockedWheel, ...], budget: int, *, bytecode: bool
) -> Iterator[InstallWheels]:
    by_name = {wheel.name: wheel for wheel in packages}
    weighed = [Weighed(wheel.name, wheel.size_bytes or 0) for wheel in packages]
    for group in arrange(weighed, budget):
        yield InstallWheels(tuple(by_name[wheel.name] for wheel in group), bytecode)


def _copies(
    spec: ImageSpec, folder: Path, leave_out: Collection[Path], only: Collection[Path] | None
) -> Iterator[CopyFiles]:
    workdir = spec.workdir or _WORKDIR
    if spec.source_root is not None and spec.copies_source:
        root = (folder / spec.source_root).resolve()
        if not root.is_dir():
            raise BuildError(f"source_root: {root} is no folder")
        if only is None:
            nodes = scan(root, leave_out=leave_out, contexts=[folder.resolve(), root])
        else:
            nodes = _loaded(root, only)
        yield CopyFiles(f"source {spec.source_root}", workdir, nodes)
    nodes_by_path = {}
    for item in spec.copy:
        source = folder / item
        if not source.exists():
            raise BuildError(f"copy: {source} does not exist")
        prefix = "" if posixpath.normpath(item) == "." else posixpath.normpath(item)
        for node in scan(source, prefix, leave_out=leave_out, contexts=[folder]):
            nodes_by_path[node.path] = node
    if nodes_by_path:
        ordered = sorted(nodes_by_path.values(), key=lambda node: node.path.split("/"))
        yield CopyFiles("copied files", workdir, tuple(ordered))


def _loaded(root: Path, files: Collection[Path]) -> tuple[Node, ...]:
    if not files:
        raise BuildError(
            f"source_copy_mode: no module below {root} is loaded",
            hint="import the tasks where the spec is said, or use all",
        )
    found = [scan(file, file.relative_to(root).as_posix()) for file in files]
    return tuple(sorted((node for (node,) in found), key=lambda node: node.path.split("/")))


def _configure(spec: ImageSpec, venv: Venv) -> Configure:
    env = {
        "PATH": f"/opt/venv/bin:{_SYSTEM_PATH}",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        **dict(spec.env),
    }
    entrypoint = spec.entrypoint
    if entrypoint is None:
        entrypoint = (venv.executable, "-I", f"/{venv.site_packages}/entrypoint/__main__.py")
    user = spec.user or "1000:0"
    workdir = spec.workdir or _WORKDIR
    return Configure(env, tuple(entrypoint), user, workdir, dict(spec.labels))


def _tag(
    lock: Lock,
    spec: ImageSpec,
    steps: list[Step],
    configure: Configure,
    made_by: Mapping[str, str],
) -> str:
    """Hash of everything that enters the image, and of nothing else."""
    copies = [
        [step.workdir, [node.identity for node in step.nodes]]
        for step in steps
        if isinstance(step, CopyFiles)
    ]
    content = {
        "lock": lock.digest,
        "made by": dict(made_by),
        "bytecode": spec.compile_bytecode,
        "copies": copies,
        "env": configure.env,
        "entrypoint": configure.entrypoint,
        "user": configure.user,
        "workdir": configure.workdir,
        "labels": configure.labels,
    }
    if spec.commands:
        content["commands"] = list(spec.commands)
    encoded = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode("utf-8", "surrogateescape")).hexdigest()[:20]
