# SPDX-License-Identifier: Apache-2.0
"""Engines that need nothing but a kernel: user namespaces, and chroot for root.

The image's root file system is unpacked once, and each run works on an overlay above it, or on a
copy of its own where overlays are not allowed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from imagekit.engines import copies
from imagekit.engines.launch import Binding, LaunchError, Plan, launch, maps_for
from imagekit.engines.model import Request
from imagekit.engines.process import own_terminal
from imagekit.engines.users import Identity, find_identity
from imagekit.errors import EngineError
from imagekit.oci.image import Image
from imagekit.oci.scratch import scratch_directory
from imagekit.oci.unpack import cached_root, unpack
from imagekit.paths import cache_directory
from imagekit.values import frozen

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SWITCHES = {
    "user/max_user_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}
"""Files below /proc/sys, and the value that forbids namespaces."""


@frozen
class Way:
    """One way to get into an image; without namespaces nothing can be mounted."""

    namespaces: bool = True
    user_namespace: bool = False
    overlay: bool = False


_USER_WAYS = (
    Way(user_namespace=True, overlay=True),
    Way(user_namespace=True),
)
_ROOT_WAYS = (Way(overlay=True), Way(), Way(namespaces=False))


class KernelEngine:
    """Tries its ways, the best first, and keeps the one that works."""

    def __init__(self, environ: Mapping[str, str], ways: tuple[Way, ...]) -> None:
        self._environ = environ
        self._runs = cache_directory(environ) / "runs"
        self._roots = cache_directory(environ) / "rootfs"
        self._ways = ways
        self._way: Way | None = None

    def probe(self) -> str | None:
        """Go all the way into an empty root, once for each way until one works."""
        refusals = []
        for way in self._ways:
            try:
                self._enter_nothing(way)
            except LaunchError as error:
                refusals.append(error.message)
            else:
                self._way = way
                return None
        return f"{refusals[0]} ({forbidding_switch(Path('/proc/sys'))})"

    def working_way(self) -> Way:
        """The way that a probe finds; raises EngineError where there is none."""
        if self._way is None and (reason := self.probe()) is not None:
            raise EngineError(reason)
        return self._way or self._ways[0]

    def run(self, request: Request) -> int:
        way = self.working_way()
        with scratch_directory(self._runs) as work:
            plan, below = self._root(way, request.image, work)
            user = request.image.config.object("config").text("User", "")
            plan = self._filled(plan, request, find_identity(below, user))
            if way.namespaces:
                return _start(plan, request.image, work)
            sys.stderr.write("note: nothing can be mounted here: the image has no /proc\n")
            with copies.instead_of_mounts(below, request.mounts):
                return _start(replace(plan, mounts=()), request.image, work)

    def _enter_nothing(self, way: Way) -> None:
        with scratch_directory(self._runs) as work:
            (work / "root").mkdir()
            below = work / "nothing"
            below.mkdir()
            overlay = overlay_folders(below, work) if way.overlay else None
            nobody_special = Identity(0, 0, (0,), "/")
            plan = Plan(
                way.namespaces, way.user_namespace, str(work / "root"), overlay, nobody_special
            )
            _launch(plan, work)

    def _root(self, way: Way, image: Image, work: Path) -> tuple[Plan, Path]:
        """The start of a plan, and where the image's files can be read beforehand."""
        root = work / "root"
        root.mkdir()
        if way.overlay:
            below = cached_root(image, self._roots)
            overlay = overlay_folders(below, work)
        else:
            below, overlay = root, None
            unpack(image, root)
        return Plan(way.namespaces, way.user_namespace, str(root), overlay, None), below

    def _filled(self, plan: Plan, request: Request, identity: Identity) -> Plan:
        config = request.image.config.object("config")
        arguments = [*config.texts("Entrypoint"), *(request.arguments or config.texts("Cmd"))]
        if not arguments:
            raise EngineError("the image has neither ENTRYPOINT nor CMD, and no argument was given")
        terminal = {"TERM": self._environ.get("TERM", "xterm")} if own_terminal() else {}
        image_variables = dict(item.partition("=")[::2] for item in config.texts("Env"))
        return replace(
            plan,
            identity=identity,
            workdir=request.workdir or config.text("WorkingDir", "") or "/",
            arguments=arguments,
            environment={
                "PATH": _PATH,
                "HOME": identity.home,
                **terminal,
                **image_variables,
                **request.environment,
            },
            mounts=[
                Binding(str(mount.source.resolve()), mount.target, mount.read_only)
                for mount in request.mounts
            ],
        )


class Namespaces(KernelEngine):
    """An ordinary user is the image's user in there; root keeps all its IDs."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ, _USER_WAYS)


class Chroot(KernelEngine):
    """For root where user namespaces are refused, as in most containers."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ, _ROOT_WAYS)

    def probe(self) -> str | None:
        return super().probe() if os.geteuid() == 0 else "needs root"


def forbidding_switch(settings: Path) -> str:
    """The kernel's setting that forbids namespaces, if it is one; `settings` is /proc/sys."""
    for name, forbidding in _SWITCHES.items():
        with contextlib.suppress(OSError):
            if (settings / name).read_text().strip() == forbidding:
                return f"the kernel has {name.replace('/', '.')} = {forbidding}"
    return "no kernel switch forbids it: a container's seccomp profile or a security module may"


def _start(plan: Plan, image: Image, work: Path) -> int:
    try:
        return _launch(plan, work)
    except LaunchError as error:
        about = f"; the image is for {image.platform}" if error.number == errno.ENOEXEC else ""
        raise EngineError(f"running the image: {error.message}{about}") from error


def _launch(plan: Plan, work: Path) -> int:
    if not plan.user_namespace or plan.identity is None:
        return launch(plan, None, work)
    maps = maps_for(plan.identity)
    # With a map of one, we are that user from the start.
    return launch(plan if maps.set_groups else replace(plan, identity=None), maps, work)


def overlay_folders(below: Path, work: Path) -> dict[str, str]:
    """The options of an overlay over `below`, with its folders made in `work`."""
    above, scratch = work / "above", work / "overlay"
    above.mkdir()
    # The overlay's root shows the mode and the owner of its upper folder.
    found = below.stat()
    above.chmod(found.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(above, found.st_uid, found.st_gid)
    scratch.mkdir()
    return {"lowerdir": str(below), "upperdir": str(above), "workdir": str(scratch)}
