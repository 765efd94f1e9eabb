# SPDX-License-Identifier: Apache-2.0
"""From spec and lock to steps. Pure, but for reading the files that the spec copies."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from imagekit.errors import BuildError
from imagekit.layers import formats
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
    ListLibraries,
    MakeEnvironment,
    RunCommands,
    StartFromDebian,
    StartFromImage,
    Step,
)
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

LAYER_BUDGET = 100
"""Of a whole image; engines stop at 127, and other tools may want to add some."""

_OTHER_LAYERS = 7
_DEBIAN_LAYERS = 9
"""At most, of `apt_packages`: eight groups of packages, and what configures them."""

_LEAST_WHEEL_LAYERS = 10
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WORKDIR = "/root"


@frozen
class Plan:
    """The steps in order, base first, and the tag that their result is known by.

    `identity` is a hash of everything that enters the image, and of nothing else; the tag is made
    of it, as the spec wants it.
    """

    steps: tuple[Step, ...]
    venv: Venv
    identity: str
    tag: str

    @property
    def configuration(self) -> Configure:
        return next(step for step in self.steps if isinstance(step, Configure))


@frozen
class Files:
    """What the spec's paths are relative to, and what of it is meant.

    Attributes:
        leave_out: absolute paths that are never copied: the spec and its lock.
        only: of `source_root` these files, absolute, and no others.
        secrets: (file, absolute path in the image), there while the commands run.
    """

    folder: Path
    leave_out: Collection[Path] = ()
    only: Collection[Path] | None = None
    secrets: tuple[tuple[str, str], ...] = ()


@frozen
class Below:
    """The spec that a spec stands on: its name, its plan, and the names of its wheels."""

    name: str
    plan: Plan
    wheels: Collection[str]


def make_plan(
    spec: ImageSpec,
    files: Files,
    lock: Lock,
    *,
    base_layers: int,
    made_by: Mapping[str, str],
    below: Below | None = None,
) -> Plan:
    """Plan the build of `spec`.

    Args:
        spec: what is asked for.
        files: where its own files are.
        lock: what it was resolved to.
        base_layers: how many layers the base has.
        made_by: the builder, and what of its version its layers depend on.
        below: what it stands on, where that is a spec too: the steps begin with its own.
    """
    venv = Venv(lock.target.python_path, lock.target.python_version)
    steps = [*_beginning(spec, lock, venv)] if below is None else [*_inherited(below, lock)]
    others = _OTHER_LAYERS + (_DEBIAN_LAYERS if lock.apt else 0) + bool(spec.commands)
    taken = base_layers if below is None else base_layers + len(steps)
    budget = max(LAYER_BUDGET - taken - others, _LEAST_WHEEL_LAYERS)
    known = () if below is None else below.wheels
    wheels = tuple(wheel for wheel in lock.packages if wheel.name not in known)
    steps += _wheels(wheels, budget, bytecode=spec.compile_bytecode)
    if lock.runtime is not None and not any(isinstance(x, InstallRuntime) for x in steps):
        named = any(wheel.name == "flytekit" for wheel in lock.packages)
        steps.append(InstallRuntime(lock.runtime, spec.compile_bytecode, flyte_names=not named))
    configure = _configure(spec, lock, venv, below, steps)
    steps += _copies(spec, files, configure.workdir)
    if spec.commands:
        steps.append(RunCommands(tuple(spec.commands), configure.env, files.secrets))
    steps.append(configure)
    identity = _identity(lock, spec, steps, made_by, below)
    return Plan(tuple(steps), venv, identity, formatted_tag(spec, identity))


def _beginning(spec: ImageSpec, lock: Lock, venv: Venv) -> Iterator[Step]:
    yield from _base(lock)
    if lock.apt is not None:
        yield InstallDebian(lock.apt)
    if spec.cuda is not None:
        from imagekit.planning.cuda import listed  # noqa: PLC0415 - most images have none

        yield from listed(lock, venv)
    yield MakeEnvironment(venv)


def _inherited(below: Below, lock: Lock) -> Iterator[Step]:
    """The parent's steps, its files by its name, so that they are told from those of the child.

    Debian packages of both are installed together, where the parent's own are.
    """
    debian = () if lock.apt is None else (InstallDebian(lock.apt),)
    for step in below.plan.steps:
        match step:
            case InstallDebian() | Configure():
                continue
            case ListLibraries() | MakeEnvironment():
                yield from debian
                debian = ()
        match step:
            case CopyFiles():
                yield replace(step, what=f"{step.what} of {below.name}")
            case ListLibraries():
                yield replace(step, section=lock.apt)
            case _:
                yield step


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


def _copies(spec: ImageSpec, files: Files, workdir: str) -> Iterator[CopyFiles]:
    folder, leave_out = files.folder, files.leave_out
    if not workdir.strip("/") and (spec.copies_source or spec.copy):
        raise BuildError(
            "source and copies belong to the task's user, as the root of an image must not",
            hint="name a folder below / as workdir",
        )
    if spec.source_root is not None and spec.copies_source:
        root = (folder / spec.source_root).resolve()
        if not root.is_dir():
            raise BuildError(f"source_root: {root} is no folder")
        if files.only is None:
            nodes = scan(root, leave_out=leave_out, contexts=[folder.resolve(), root])
        else:
            nodes = _loaded(root, files.only)
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


def _configure(
    spec: ImageSpec, lock: Lock, venv: Venv, below: Below | None, steps: Sequence[Step]
) -> Configure:
    """What the spec says; what it leaves out its parent says, where it has one, or our defaults."""
    parent = _defaults(venv) if below is None else below.plan.configuration
    # What the runtime reads: entrypoint/contract.py.
    at_start = {"IMAGEKIT_RUNTIME_PACKAGES": "\n".join(lock.at_start)} if lock.at_start else {}
    env = parent.env
    if spec.cuda is not None:
        from imagekit.planning.cuda import with_cuda  # noqa: PLC0415 - most images have none

        env = with_cuda(env, lock, venv, spec.cuda, steps)
    return Configure(
        {**env, **at_start, **spec.env},
        parent.entrypoint if spec.entrypoint is None else tuple(spec.entrypoint),
        spec.user or parent.user,
        spec.workdir or parent.workdir,
        {**parent.labels, **spec.labels},
    )


def _defaults(venv: Venv) -> Configure:
    env = {
        "PATH": f"/opt/venv/bin:{_SYSTEM_PATH}",
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }
    start = (venv.executable, "-I", f"/{venv.site_packages}/entrypoint/__main__.py")
    return Configure(env, start, "1000:0", _WORKDIR, {})


def formatted_tag(spec: ImageSpec, identity: str) -> str:
    return (spec.tag_format or "{spec_hash}").replace("{spec_hash}", identity)


def _identity(
    lock: Lock,
    spec: ImageSpec,
    steps: list[Step],
    made_by: Mapping[str, str],
    below: Below | None,
) -> str:
    """Hash of everything that enters the image, and of nothing else."""
    configure = next(step for step in steps if isinstance(step, Configure))
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
    if below is not None:
        content["base"] = below.plan.identity
    if any(isinstance(step, ListLibraries) for step in steps):
        content["libraries"] = formats.LIBRARIES
    if spec.commands:
        # How they are joined counts, too.
        content["commands"] = RunCommands(tuple(spec.commands), {}).script
    encoded = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode("utf-8", "surrogateescape")).hexdigest()[:20]
