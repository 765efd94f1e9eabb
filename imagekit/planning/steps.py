# SPDX-License-Identifier: Apache-2.0
"""The steps of a build: what each one adds to the image, and nothing of how it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from imagekit.layers.tree import Node
from imagekit.layers.venv import Venv
from imagekit.lock.model import LockedWheel, RuntimePin
from imagekit.values import frozen

_UNJOINABLE = re.compile(r"[\n#;]|\|\||(?<!&)&(?!&)|\\\s*$")


@frozen
class StartFromDebian:
    """The embedded base, as the lock's section says it."""

    section: Mapping[str, object]


@frozen
class StartFromImage:
    """A base that is an image already; `reference` is relative to the spec's folder."""

    reference: str
    digest: str


@frozen
class AddUser:
    """User `task` (1000, group 0) and its home, on a base without a user 1000."""

    passwd: str


@frozen
class InstallDebian:
    """Packages of the base's own release, and all that they need: the lock's section `apt`."""

    section: Mapping[str, object]


@frozen
class ListLibraries:
    """Tell the loader where wheels keep libraries: in ld.so.conf.d, and in its cache.

    Attributes:
        wheels: NVIDIA's.
        folders: absolute, each once, sorted.
        platform: of the image.
        section: the lock's section `apt`, whose packages lie below; None for none.
    """

    wheels: tuple[LockedWheel, ...]
    folders: tuple[str, ...]
    platform: str
    section: Mapping[str, object] | None


@frozen
class MakeEnvironment:
    venv: Venv


@frozen
class InstallWheels:
    """One layer: the wheels that share it, in the order of writing."""

    wheels: tuple[LockedWheel, ...]
    bytecode: bool


@frozen
class InstallRuntime:
    """The runtime wheel, and Flyte's names for it on PATH unless flytekit brings its own."""

    pin: RuntimePin
    bytecode: bool
    flyte_names: bool


@frozen
class CopyFiles:
    """The user's files below `workdir`, an absolute path. `what` names them for people."""

    what: str
    workdir: str
    nodes: tuple[Node, ...]


@frozen
class RunCommands:
    """The user's commands: one `sh -c`, each after the one before went well, as root in `/`.

    What they leave is no pure function of what stands here, so the layer is not reproducible.
    `env` is all that they see; `secrets` are files: (path on this machine, absolute path in the
    image while they run).
    """

    commands: tuple[str, ...]
    env: Mapping[str, str]
    secrets: tuple[tuple[str, str], ...] = ()

    @property
    def script(self) -> str:
        """What the shell is given.

        `&&` would not end at the failed one of commands with `;` or `||`, can't follow several
        lines, a comment or `&`, and makes `set -e` before it count for nothing.
        """
        if len(self.commands) > 1 and any(map(_UNJOINABLE.search, self.commands)):
            return "\n(exit $?) || exit\n".join(self.commands)
        return " && ".join(self.commands)


@frozen
class Configure:
    """What the image's configuration says; None keeps what the base says."""

    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    user: str
    workdir: str
    labels: Mapping[str, str]


Step: TypeAlias = (
    StartFromDebian
    | StartFromImage
    | AddUser
    | InstallDebian
    | ListLibraries
    | MakeEnvironment
    | InstallWheels
    | InstallRuntime
    | CopyFiles
    | RunCommands
    | Configure
)
