# SPDX-License-Identifier: Apache-2.0
"""How each step of a plan becomes a layer: what its bytes depend on, and what writes them.

Building writes these layers, planning looks them up: both ask here, so a plan can't be of another
image than the one that is built.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from imagekit.builders.record import RECORD_ANNOTATION, Record
from imagekit.debian.base import DebianBase
from imagekit.jobs.job import Job
from imagekit.layers import formats, tree
from imagekit.layers.users import write_user
from imagekit.layers.venv import PREFIX, Venv
from imagekit.lock.model import Lock, LockedWheel
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.planning.planner import Plan
from imagekit.planning.steps import (
    AddUser,
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
from imagekit.values import frozen

if TYPE_CHECKING:
    from imagekit.layers.bytecode import BytecodeCompiler
    from imagekit.layers.wheel_file import WheelFile
    from imagekit.layers.writer import LayerWriter

LOCK_ANNOTATION = "dev.imagekit.lock.digest"
FLYTE_NAMES = ("pyflyte-execute", "pyflyte-fast-execute", "pyflyte-map-execute")


class BelowWheels(Protocol):
    """What of a base decides how the layers above it are made."""

    @property
    def interpreter(self) -> str:
        """Names the interpreter in recipes: bases with the same one share layers."""

    def packages(self, section: Mapping[str, object]) -> Sequence[Layering]:
        """The layers of Debian packages over the base: of the lock's section `apt`."""

    def libraries(self, step: ListLibraries) -> Layering:
        """The layer that tells the base's loader of libraries."""


class Sources(Protocol):
    """What layers are written from; asking for something may download or unpack it."""

    def wheel(self, wheel: LockedWheel) -> WheelFile: ...

    def runtime(self) -> WheelFile: ...

    def compiler(self) -> BytecodeCompiler: ...


@frozen
class Layering:
    """How one layer is made.

    Attributes:
        recipe: names everything that its bytes depend on.
        created_by: the line of the image's history.
        write: writes it; or a job, of which it is what the job changes in the image below it.
        wheels: those of the lock that are in it.
        from_bytes: how much it is made from: files, or wheels and packages as they are downloaded.
        local: all of that lies here: no download is needed, and no base.
        step: what it is the layer of; None for that of a base.
        prepare: gives a job the files that it needs, which may be downloaded for it.
        compiled_by: its recipe with another name for the interpreter; None without bytecode.
    """

    recipe: str
    created_by: str
    write: Callable[[LayerWriter, Sources], None] | Job
    wheels: tuple[LockedWheel, ...] = ()
    from_bytes: int = 0
    local: bool = False
    step: Step | None = None
    prepare: Callable[[Job], Job] | None = None
    compiled_by: Callable[[str], str] | None = None

    @property
    def shared(self) -> bool:
        """Whether another machine makes the same one, and it is worth taking from there.

        Layers of files that lie here change with every edit and are made at once; those of jobs
        come out differently elsewhere.
        """
        return not self.local and not isinstance(self.write, Job)

    @property
    def label(self) -> str:
        """For people, while it is made."""
        return f"making {self.created_by.removeprefix('imagekit: ')}"


def layerings(plan: Plan, base: BelowWheels) -> list[Layering]:
    """The layers of `plan` above its base, in their order."""
    found: list[Layering] = []
    for step in plan.steps:
        match step:
            case RunCommands():
                made = [_commands(step, _everything(plan.steps[0], found))]
            case InstallDebian(section):
                made = [*base.packages(section)]
            case ListLibraries():
                made = [base.libraries(step)]
            case _:
                made = [*_layering(step, plan.venv, base.interpreter)]
        found += [replace(layering, step=step) for layering in made]
    return found


def with_bytecode(plan: Plan) -> bool:
    """Whether any layer of `plan` holds bytecode."""
    installs = (step for step in plan.steps if isinstance(step, InstallWheels | InstallRuntime))
    return any(step.bytecode for step in installs)


def assembled(lock: Lock, plan: Plan, base: Image | None, additions: Sequence[Addition]) -> Image:
    """The image of `plan` over `base`; of its layers only digests and sizes are looked at."""
    return assemble(
        base,
        additions,
        settings_of(plan),
        platform=Platform.parse(lock.target.platform),
        annotations=annotations_of(lock, plan),
    )


def settings_of(plan: Plan) -> Settings:
    """What the plan says of containers."""
    configure = plan.configuration
    return Settings(
        user=configure.user,
        environment=configure.env,
        entrypoint=configure.entrypoint,
        workdir=configure.workdir,
        labels=configure.labels,
    )


def annotations_of(lock: Lock, plan: Plan) -> dict[str, str]:
    """What the manifest of an image says of its lock, whoever built it."""
    return {
        LOCK_ANNOTATION: lock.digest,
        RECORD_ANNOTATION: Record.of(lock, bytecode=with_bytecode(plan)).encoded(),
    }


def _layering(step: Step, venv: Venv, interpreter: str) -> Iterator[Layering]:
    """How `step` becomes a layer; nothing for the base and the configuration."""
    match step:
        case MakeEnvironment(made):
            recipe = recipe_of("environment", python=made.python, version=made.version)
            yield Layering(recipe, f"imagekit: /{PREFIX}", lambda w, _: made.write(w), local=True)
        case InstallWheels():
            yield _wheels(step, venv, interpreter)
        case InstallRuntime():
            yield _runtime(step, venv, interpreter)
        case AddUser(passwd):
            recipe = recipe_of("user", passwd=passwd)
            what = "imagekit: user task"
            yield Layering(recipe, what, lambda w, _: write_user(w, passwd), local=True)
        case CopyFiles():
            yield _copies(step)


def _everything(base: Step, below: Sequence[Layering]) -> str:
    """Names all that lies below a layer: the base, and each layer above it."""
    match base:
        case StartFromDebian(section):
            content = [DebianBase.from_dict(section).digest]
        case StartFromImage(digest=digest):
            content = [digest]
        case _:
            raise ValueError(f"a plan that starts with {type(base).__name__}")
    content += [layering.recipe for layering in below]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _commands(step: RunCommands, below: str) -> Layering:
    job = Job("commands", ("/bin/sh", "-c", step.script), step.env, step.secrets)
    recipe = recipe_of(formats.JOB, below=below, script=step.script, env=dict(step.env))
    shown = " && ".join(" ".join(each.split("\n")).strip() for each in step.commands)
    return Layering(recipe, f"imagekit: commands, not reproducible: {shown}", job)


def _wheels(step: InstallWheels, venv: Venv, interpreter: str) -> Layering:
    def write(writer: LayerWriter, sources: Sources) -> None:
        from imagekit.layers.wheel_layer import write_wheels  # noqa: PLC0415 - plans write none

        files = [sources.wheel(wheel) for wheel in step.wheels]
        write_wheels(writer, files, venv, sources.compiler if step.bytecode else None)

    names = " ".join(f"{wheel.name}=={wheel.version}" for wheel in step.wheels)
    recipe = partial(_install_recipe, [wheel.sha256 for wheel in step.wheels], venv)
    size_bytes = sum(wheel.size_bytes or 0 for wheel in step.wheels)
    return Layering(
        recipe(interpreter if step.bytecode else None),
        f"imagekit: {names}",
        write,
        step.wheels,
        size_bytes,
        compiled_by=recipe if step.bytecode else None,
    )


def _runtime(step: InstallRuntime, venv: Venv, interpreter: str) -> Layering:
    def write(writer: LayerWriter, sources: Sources) -> None:
        from imagekit.layers.wheel_layer import write_wheels  # noqa: PLC0415 - plans write none

        compiler = sources.compiler if step.bytecode else None
        write_wheels(writer, [sources.runtime()], venv, compiler)
        for name in FLYTE_NAMES if step.flyte_names else ():
            writer.file(f"{PREFIX}/bin/{name}", flyte_script(name, venv), mode=0o755)

    def recipe(python: str | None) -> str:
        return _install_recipe([step.pin.sha256], venv, python) + f" names {step.flyte_names}"

    return Layering(
        recipe(interpreter if step.bytecode else None),
        f"imagekit: runtime {step.pin.version}",
        write,
        compiled_by=recipe if step.bytecode else None,
    )


def flyte_script(name: str, venv: Venv) -> bytes:
    """What one of Flyte's names on PATH starts: our own entrypoint, with that name first."""
    start = f"{venv.executable} -I /{venv.site_packages}/entrypoint/__main__.py"
    return f'#!/bin/sh\nexec {start} {name} "$@"\n'.encode()


def _install_recipe(digests: list[str], venv: Venv, interpreter: str | None) -> str:
    bytecode = "none" if interpreter is None else f"{formats.BYTECODE} {interpreter}"
    return recipe_of(formats.WHEELS, python=venv.minor, bytecode=bytecode, wheels=digests)


def _copies(step: CopyFiles) -> Layering:
    workdir = step.workdir.strip("/")
    nodes = [node.identity for node in step.nodes]
    recipe = recipe_of(formats.TREE, workdir=workdir, nodes=nodes)
    return Layering(
        recipe,
        f"imagekit: {step.what}",
        lambda w, _: tree.write_tree(w, step.nodes, workdir),
        from_bytes=sum(node.size_bytes for node in step.nodes),
        local=True,
    )


def recipe_of(kind: str, **parts: object) -> str:
    """A recipe: `parts` are all that the layer's bytes depend on, as data for JSON."""
    return json.dumps({"kind": kind, **parts}, sort_keys=True)
