# SPDX-License-Identifier: Apache-2.0
"""The builders by name. Each is imported when a spec asks for it.

Packages of others add theirs under the entry-point group `imagekit.builders`: a callable without
arguments that gives a `Builder`. The group is looked at only for names that are not here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from imagekit.builders.model import Builder, BuildRequest
from imagekit.errors import BuildError
from imagekit.spec.builder_rules import GROUP, named_builder

BUILDERS: Mapping[str, str] = {
    "buildkit": "imagekit.builders.buildkit:BuildkitBuilder",
    "docker": "imagekit.builders.docker:DockerBuilder",
    "envd": "imagekit.builders.envd:EnvdBuilder",
    "prebuilt": "imagekit.builders.prebuilt:PrebuiltBuilder",
}
"""Beside the native one, which is built in."""


def find_builder(request: BuildRequest) -> Builder | None:
    """The builder that the spec names, or None for the native one.

    Raises BuildError for a name that nobody registered.
    """
    name = named_builder(request.spec.builder)
    if name == "native":
        return None
    if name in BUILDERS:
        module, _, attribute = BUILDERS[name].partition(":")
        made: Builder = getattr(importlib.import_module(module), attribute)()
        return made
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and seldom needed

    for point in entry_points(group=GROUP, name=name):
        registered: Builder = point.load()()
        return registered
    known = ", ".join(["native", *BUILDERS])
    raise BuildError(f"there is no builder {name!r}", hint=f"known are {known}")
