# SPDX-License-Identifier: Apache-2.0
"""Where the command lines of docker and podman part ways."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from imagekit.values import frozen


@frozen
class Dialect:
    event_name: str
    """The template of the name of an event's container."""
    architecture: str
    """That of the engine's architecture, of `version`; what stands before a slash is the system."""
    cpus: str
    """That of the number of its processors, of `info`."""
    tmpfs_size: Callable[[int], str]
    """The mount option of a volume in memory of so many bytes."""
    copy: tuple[str, ...] = ("cp",)
    """Copies a tar into a container, with the owners that it names."""
    remove_containers: tuple[str, ...] = ("rm", "--force", "--volumes")
    """Kills them at once."""
    remove_volumes: tuple[str, ...] = ("volume", "rm", "--force")
    shares_host_name: bool = True
    """A container has the host name of the one whose network it shares."""
    knows_runtimes: bool = True
    """`info` tells whether there is NVIDIA's runtime."""


def _pages(size_bytes: int) -> str:
    """Of tmpfs(5): Podman takes `size` for a quota of a disk."""
    return f"nr_blocks={math.ceil(size_bytes / os.sysconf('SC_PAGE_SIZE'))}"


DIALECTS: Mapping[str, Dialect] = {
    "docker": Dialect(
        event_name="{{.Actor.Attributes.name}}",
        architecture="{{.Server.Arch}}",
        cpus="{{.NCPU}}",
        tmpfs_size="size={}".format,
    ),
    "podman": Dialect(
        event_name="{{.Name}}",
        architecture="{{.Client.OsArch}}",
        cpus="{{.Host.CPUs}}",
        tmpfs_size=_pages,
        copy=("cp", "--archive=false"),
        remove_containers=("rm", "--force", "--depend", "--volumes", "--time", "0"),
        # By force it removes the containers that have them, and 4.3 waits for ever if these are
        # just being cleaned up.
        remove_volumes=("volume", "rm"),
        shares_host_name=False,
        knows_runtimes=False,
    ),
}
"""By the program's name."""
