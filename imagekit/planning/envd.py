# SPDX-License-Identifier: Apache-2.0
"""A plan as a `build.envd`: what envd is to do to reach the files that the native builder makes.

Layers are copied out of the context, each by an `io.copy` of its own, so that envd's cache holds
those that stay. What a copy can't say, such as another owner than root, is applied by the base's
Python from a tar in the context. Nothing is installed from an index, so envd sees no credential.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TypeAlias

from imagekit.errors import BuildError
from imagekit.planning.planner import Plan
from imagekit.planning.rendering import rendered
from imagekit.planning.steps import Configure, RunCommands
from imagekit.values import frozen

APPLY = "tools/apply_layer.py"
SHELL = "tools/bash"


@frozen
class Copied:
    """A layer that is a folder of the context: all of it root's, and folders at its top.

    Attributes:
        what: is in it, for people.
        folder: in the context, named by the layer's own digest.
        names: of the folders at its top.
    """

    what: str
    folder: str
    names: tuple[str, ...]


@frozen
class Applied:
    """A layer that is a tar in the context, named by the layer's own digest."""

    what: str
    file: str


Piece: TypeAlias = Copied | Applied


def render_envd(plan: Plan, base: str, pieces: Sequence[Piece], *, has_bash: bool) -> str:
    """The text of `build.envd`.

    Args:
        plan: of one platform.
        base: an image by a name that envd can ask a registry for.
        pieces: the layers above the base, in their order.
        has_bash: whether the base has /usr/bin/bash, with which envd starts each step.

    Raises:
        BuildError: the plan has something that envd can't do.
    """
    configure = next(step for step in plan.steps if isinstance(step, Configure))
    commands = [step for step in plan.steps if isinstance(step, RunCommands)]
    applied = [piece for piece in pieces if isinstance(piece, Applied)]
    for step in commands:
        if step.secrets:
            raise BuildError(
                "envd can't mount secrets, and the spec's commands want some",
                hint="`builder: docker`, `buildkit` and `native` can",
            )
    values = {
        "base": base,
        "copied": [piece for piece in pieces if isinstance(piece, Copied)],
        "applied": [(piece.what, _apply(plan.venv.python, piece)) for piece in applied],
        "commands": [_commands(step) for step in commands],
        "shell": None if has_bash or not (applied or commands) else SHELL,
        "clean": _clean(has_bash=has_bash) if applied or commands else None,
        "env": dict(sorted(configure.env.items())),
        "entrypoint": list(configure.entrypoint),
    }
    return rendered("build.envd.j2", values, literal)


def literal(text: str) -> str:
    """A string of Starlark's whose value is exactly `text`.

    Raises BuildError for what is no Unicode text: Starlark can't write it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BuildError(f"envd can't hold {text!r}: it is not UTF-8") from error
    return json.dumps(text, ensure_ascii=False)


def _step(script: str) -> str:
    """`script` as it has to be written so that the shell gets it.

    envd puts it between single quotes, and what it comes to is split into words by BuildKit.
    """
    return script.replace("'", "'\\''")


def _apply(python: str, piece: Applied) -> str:
    return _step(shlex.join([python, "-I", "-S", "-B", APPLY, piece.file]))


def _commands(step: RunCommands) -> str:
    variables = [f"{name}={value}" for name, value in sorted(step.env.items())]
    return _step("cd / && " + shlex.join(["env", *variables, "/bin/sh", "-c", step.script]))


def _clean(*, has_bash: bool) -> str:
    """Leave nothing of what envd's steps need: the folder where they start, and our shell."""
    script = 'cd / && rmdir "$OLDPWD" "${OLDPWD%/*}"'
    if not has_bash:
        script += ' && { [ "$(head -c 9 /usr/bin/bash)" != "#!/bin/sh" ] || rm /usr/bin/bash; }'
    return _step(script)
