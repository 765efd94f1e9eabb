# SPDX-License-Identifier: Apache-2.0
"""A plan as a Dockerfile: what BuildKit is to do to reach the image that the native builder makes.

Wheels are installed in stages of their own, large ones alone, and copied into the image as layers
that don't depend on each other where the worker can do that. What changes most often comes last.
Nothing but the base is pulled: there is no `# syntax=` line. Packages come from the indexes that
the secret `imagekit-uv` names (a uv.toml), and are believed by their hashes alone; `imagekit-ca`
is a CA bundle. Neither leaves a trace, since mounted secrets are no part of any layer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from imagekit.errors import BuildError
from imagekit.layers.grouping import Weighed, arrange
from imagekit.layers.venv import PREFIX, Venv
from imagekit.lock.model import LockedWheel
from imagekit.planning.planner import Plan
from imagekit.planning.rendering import rendered
from imagekit.planning.steps import (
    AddUser,
    Configure,
    CopyFiles,
    InstallDebian,
    InstallRuntime,
    InstallWheels,
    ListLibraries,
    RunCommands,
    Step,
)
from imagekit.values import frozen

_STAGE_BUDGET = 12
"""A stage costs the start of two containers; a layer that many share is pushed whole."""
_TOOLS = "/run/imagekit/tools"
_WHEELS = "/wheels"
_OTHERS = "/run/imagekit/wheels"
_FEWEST = 2  # wheels that can contradict each other
_ESCAPED = re.compile(r'[\\"$]')
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)
_UNWRITABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What a line of a Dockerfile can't hold; such a value goes in as a build argument."""

_UNMOUNTABLE = re.compile(r"""[\x00-\x1f\x7f"'$,\\]""")
"""What `--mount`, whose value is a line of CSV in a word that may be quoted, can't hold."""


@frozen
class Stage:
    """Wheels that are installed together.

    Attributes:
        folder: in the context; holds `requirements.txt`, and the wheels that no index has.
        comments: what is installed, for people.
        install: the command, as JSON.
        compile: the one that makes the bytecode, or empty.
        others: stages whose wheels are looked at by `agree`.
        agree: the one that refuses wheels which contradict each other; the last stage has it.
    """

    name: str
    folder: str
    wheels: tuple[LockedWheel, ...]
    comments: tuple[str, ...]
    install: str
    compile: str
    others: tuple[str, ...] = ()
    agree: str = ""

    @property
    def requirements(self) -> str:
        """One line per wheel, believed by its hash alone."""
        return "".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in self.wheels)


@frozen
class Dockerfile:
    """The text, the values of its build arguments, and the stages whose files the context holds."""

    text: str
    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]


def render_dockerfile(plan: Plan, base: str, *, link: bool = True) -> Dockerfile:
    """The Dockerfile of a plan.

    Args:
        plan: of one platform.
        base: what FROM names.
        link: whether the worker knows `COPY --link`; engines before 23 don't.

    Raises:
        BuildError: the plan has something that can't be written as a Dockerfile.
    """
    refuse_unwritable(plan.steps)
    arguments: dict[str, str] = {}
    configure = only(plan.steps, Configure)
    stages = _agreeing(tuple(_stages(plan)), plan.venv)
    runtimes = [step for step in plan.steps if isinstance(step, InstallRuntime)]
    values = {
        "base": base,
        "pinned": ":" in base.rpartition("/")[2],
        "debian": [line for step in plan.steps for line in _debian(step)],
        "dpkg": any(isinstance(x, InstallDebian) and x.section["scripts"] for x in plan.steps),
        "link": link,
        "user": any(isinstance(step, AddUser) for step in plan.steps),
        "stages": stages,
        "scripts": any(step.flyte_names for step in runtimes),
        "copies": list(_copies(plan.steps)),
        "commands": list(_commands(plan.steps)),
        "env": _written(configure.env, "env", arguments),
        "labels": _written(configure.labels, "label", arguments),
        "python": plan.venv.executable,
        "run_as": configure.user,
        "root": configure.user.partition(":")[0] in ("0", "root"),
        "workdir": _plain_or_quoted(configure.workdir),
        "entrypoint": json.dumps(list(configure.entrypoint)),
    }
    values["arguments"] = sorted(arguments)
    return Dockerfile(rendered("image.Dockerfile.j2", values), arguments, stages)


def refuse_unwritable(steps: Sequence[Step]) -> None:
    """Raise BuildError for what no line of a Dockerfile can hold."""
    refuse_commands_below(steps)
    workdir = only(steps, Configure).workdir
    if _UNWRITABLE.search(workdir):
        raise BuildError(f"a Dockerfile can't hold the workdir {workdir!r}")
    for step in steps:
        for _, target in step.secrets if isinstance(step, RunCommands) else ():
            if _UNMOUNTABLE.search(target):
                raise BuildError(
                    f"a Dockerfile can't hold the place of a secret {target!r}",
                    hint="without quotes, commas, dollar signs and backslashes it can",
                )


def refuse_commands_below(steps: Sequence[Step]) -> None:
    """Raise BuildError for commands of a base's spec: all commands are run at the end here."""
    commands = [isinstance(step, RunCommands) for step in steps if not isinstance(step, Configure)]
    if True in commands and not all(commands[commands.index(True) :]):
        raise BuildError(
            "commands of the base's spec have to run before anything stands on it, and this "
            "builder runs all commands at the end",
            hint="`builder: native` can; or build the base by itself, and name its image",
        )


def _debian(step: Step) -> list[str]:
    """What lies on the base already: such files are no work of a Dockerfile's."""
    if isinstance(step, ListLibraries):
        return ["the loader's cache, with libraries of nvidia-* wheels"]
    if not isinstance(step, InstallDebian):
        return []
    found: Any = step.section
    return [f"{each['name']}={each['version']}" for each in found["packages"]]


def only(steps: Sequence[Step], kind: type[Any]) -> Any:
    return next(step for step in steps if isinstance(step, kind))


def copies_of(steps: Sequence[Step]) -> Iterator[tuple[str, CopyFiles]]:
    """The copied files, and the folder of the context that holds them."""
    found = (step for step in steps if isinstance(step, CopyFiles))
    for number, step in enumerate(found, 1):
        yield f"files-{number}", step


def is_local(wheel: LockedWheel) -> bool:
    """Whether no index has the wheel, so that it is in the context."""
    return wheel.url is None or not wheel.url.startswith(("http://", "https://"))


def _stages(plan: Plan) -> Iterator[Stage]:
    installs = [step for step in plan.steps if isinstance(step, InstallWheels)]
    wheels = {wheel.name: wheel for step in installs for wheel in step.wheels}
    bytecode = any(step.bytecode for step in installs)
    weighed = [Weighed(wheel.name, wheel.size_bytes or 0) for wheel in wheels.values()]
    for number, group in enumerate(arrange(weighed, _STAGE_BUDGET), 1):
        found = [wheels[each.name] for each in group]
        yield _stage(f"wheels-{number}", found, plan.venv, bytecode=bytecode)
    for step in plan.steps:
        if isinstance(step, InstallRuntime):
            yield _stage("runtime", [_runtime(step)], plan.venv, bytecode=step.bytecode)


def _agreeing(stages: tuple[Stage, ...], venv: Venv) -> tuple[Stage, ...]:
    """The last stage compares its wheels with all others; its own layer has nothing of that."""
    if sum(len(stage.wheels) for stage in stages) < _FEWEST:
        return stages
    others = tuple(stage.name for stage in stages[:-1])
    prefixes = [*(f"{_OTHERS}/{name}" for name in others), _WHEELS]
    command = [*_python(venv, "refuse_installed.py"), PREFIX, _site_packages(venv), *prefixes]
    return (*stages[:-1], replace(stages[-1], others=others, agree=json.dumps(command)))


def _runtime(step: InstallRuntime) -> LockedWheel:
    filename = f"imagekit_runtime-{step.pin.version}-py3-none-any.whl"
    return LockedWheel("imagekit-runtime", step.pin.version, filename, step.pin.sha256)


def _stage(name: str, wheels: Sequence[LockedWheel], venv: Venv, *, bytecode: bool) -> Stage:
    return Stage(
        name,
        f"stages/{name}",
        tuple(wheels),
        tuple(f"{each.name} {each.version}" for each in wheels),
        json.dumps(_install(offline=all(is_local(each) for each in wheels))),
        json.dumps(_compile(venv, wheels)) if bytecode else "",
    )


def _install(*, offline: bool) -> list[str]:
    return [
        f"{_TOOLS}/uv",
        "pip",
        "install",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        f"--prefix={_WHEELS}",
        *(["--no-index"] if offline else []),
        "--requirement=/run/imagekit/stage/requirements.txt",
    ]


def _compile(venv: Venv, wheels: Sequence[LockedWheel]) -> list[str]:
    """Distributions are named by the first two parts of their wheels' names, as their folders."""
    names = ["-".join(wheel.filename.split("-")[:2]) + ".dist-info" for wheel in wheels]
    options = [_WHEELS, venv.python, PREFIX, _site_packages(venv)]
    return [*_python(venv, "compile_installed.py"), *options, *names]


def _python(venv: Venv, script: str) -> list[str]:
    return [venv.executable, "-s", "-S", "-B", f"{_TOOLS}/{script}"]


def _site_packages(venv: Venv) -> str:
    return venv.site_packages.removeprefix(f"{PREFIX}/")


def _copies(steps: Sequence[Step]) -> Iterator[Mapping[str, str]]:
    for source, step in copies_of(steps):
        workdir = step.workdir.rstrip("/")
        parent = workdir.rpartition("/")[0]
        yield {
            "comment": " ".join(step.what.split()),
            "folder": _paths(f"{source}-folder/", f"{parent}/"),
            "files": _paths(f"{source}/", f"{workdir}/"),
        }


def _paths(source: str, target: str) -> str:
    """The two words of COPY, of which variables are expanded and which blanks would part."""
    if _PLAIN.fullmatch(target):
        return f"{source} {target}"
    return json.dumps([source, quoted(target)])


def _commands(steps: Sequence[Step]) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        if isinstance(step, RunCommands):
            mounts = [
                f"--mount=type=secret,id={name},target={quoted(target)}"
                for name, (_, target) in command_secrets(step).items()
            ]
            yield {"mounts": mounts, "words": json.dumps(["/bin/sh", "-c", step.script])}


def command_secrets(step: RunCommands) -> Mapping[str, tuple[str, str]]:
    """Where a secret lies here, and where the commands find it, by its identifier."""
    return {f"imagekit-secret-{number}": pair for number, pair in enumerate(step.secrets, 1)}


def _written(
    values: Mapping[str, str], what: str, arguments: dict[str, str]
) -> list[tuple[str, str]]:
    return [
        (name, _value(value, f"{what}_{number}", arguments))
        for number, (name, value) in enumerate(sorted(values.items()), 1)
    ]


def _value(text: str, name: str, arguments: dict[str, str]) -> str:
    """`text` in quotes, or as a build argument where no quotes can hold it."""
    if _UNWRITABLE.search(text):
        argument = f"imagekit_{name}"
        arguments[argument] = text
        return f'"${{{argument}}}"'
    return quoted(text)


def _plain_or_quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quoted(text)


def quoted(text: str) -> str:
    """One word for an instruction that expands variables: its value is exactly `text`."""
    return '"' + _ESCAPED.sub(r"\\\g<0>", text) + '"'
