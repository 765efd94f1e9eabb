# SPDX-License-Identifier: Apache-2.0
"""A plugin as data: what its `image.toml` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from imagekit.values import frozen

Place = Literal["task", "pods", "connector", "backend", "client"]
"""Where a plugin's work is done.

`task` is the task's own container; `pods` are several that the backend starts from the task's
image; `connector` is a service that calls another one; `backend` needs no process of ours;
`client` is a tool of whoever registers tasks.
"""

Need = Literal["java", "mpi", "ssh", "git", "cuda", "gpu", "program"]
"""What no wheel brings, or what the node has to offer."""


@frozen
class Limit:
    """A requirement that stands in the way of other plugins, and where it comes from."""

    requirement: str
    why: str


@frozen
class Plugin:
    """What a plugin needs in an image.

    Attributes:
        name: as specs write it; words are joined by `-`.
        about: what it does, in a sentence.
        task_types: those that it serves, as Flyte's backend calls them.
        runs: where its work is done.
        packages: Python requirements.
        apt_packages: Debian packages.
        env: environment variables; those of a spec go over them.
        python: the Pythons that it works with, as a version specifier; empty for all.
        python_why: what holds it to those; empty where nothing does.
        from_source: those of its packages, or of what they need, that have no wheels.
        modules: what is importable in an image that has it.
        needs: what else it needs, by kind, and why.
        limits: what its packages ask of others, where others ask for something else.
    """

    name: str
    about: str
    task_types: tuple[str, ...]
    runs: Place
    packages: tuple[str, ...]
    apt_packages: tuple[str, ...]
    env: Mapping[str, str]
    python: str
    python_why: str
    from_source: tuple[str, ...]
    modules: tuple[str, ...]
    needs: Mapping[Need, str]
    limits: tuple[Limit, ...]
