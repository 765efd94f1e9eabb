# SPDX-License-Identifier: Apache-2.0
"""Runs a program in an image that is being built, and keeps what it changed as a layer.

It runs as root of the image: this machine's root, or an ordinary user's subordinate IDs.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from imagekit.engines.launch import Binding, LaunchError, Plan, launch
from imagekit.engines.namespaces import Chroot, KernelEngine, overlay_folders
from imagekit.engines.subordinate import call_as_root
from imagekit.engines.users import Identity
from imagekit.errors import BuildError, EngineError
from imagekit.jobs.capture import Roots, capture
from imagekit.jobs.follow import followed, hidden, secret_values
from imagekit.jobs.job import Job
from imagekit.layers.cache import LayerCache
from imagekit.layers.host import ELSEWHERE, host_can_run
from imagekit.layers.writer import LayerWriter
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.oci.layout import read_layout, write_layout
from imagekit.oci.scratch import scratch_directory
from imagekit.oci.unpack import cached_root, unpack
from imagekit.paths import cache_directory
from imagekit.progress import Task

_NOT_OURS = (b"dev/*", b"proc/*", b"sys/*", b"etc/resolv.conf", b"etc/hosts")
"""What running itself puts into a root."""

_SCAFFOLDING = frozenset({b"dev", b"etc", b"proc", b"sys", b"tmp"})

_ROOT = Identity(0, 0, (0,), "/root")
_LAST_BYTES = 8192
_LAST_LINES = 20


def check_machine(platform: str, what: str) -> None:
    """Raise BuildError where nothing of an image for `platform` can be run here."""
    if sys.platform == "linux" and host_can_run(platform.partition("/")[2]):
        return
    raise BuildError(
        f"{what}: this machine can't run programs of {platform}",
        hint=ELSEWHERE,
    )


def make_layer(cache: LayerCache, recipe: str, image: Image, job: Job, task: Task) -> FileLayer:
    """The layer of what `job` changes in `image`, from the cache where it has the recipe.

    `task` is told what it prints. Raises what `run_job` raises.
    """
    if layer := cache.find(recipe):
        return layer
    with scratch_directory(cache_directory() / "runs") as work:
        output = work / "output"
        output.touch()
        with followed(output, task, _secret_values(job)):
            return _made(cache, recipe, image, job, work)


def _made(cache: LayerCache, recipe: str, image: Image, job: Job, work: Path) -> FileLayer:
    output = work / "output"
    if os.geteuid() == 0:
        return cache.make(recipe, lambda writer: run_job(image, job, writer, output=output))
    write_layout(image, work / "image")
    call_as_root(
        "imagekit.jobs.sandbox:make_as_root",
        {
            "cache": str(cache.root),
            "recipe": recipe,
            "image": str(work / "image"),
            "job": dataclasses.asdict(job),
            "output": str(output),
        },
    )
    return cache.make(recipe, _not_made)


def make_as_root(argument: Mapping[str, Any]) -> None:
    """The part of `make_layer` that a namespace's root does."""
    job = Job(**{**argument["job"], "arguments": tuple(argument["job"]["arguments"])})
    image = read_layout(Path(argument["image"]))
    cache = LayerCache(Path(argument["cache"]))
    output = Path(argument["output"])
    cache.make(argument["recipe"], lambda writer: run_job(image, job, writer, output=output))


def run_job(
    image: Image,
    job: Job,
    writer: LayerWriter,
    engine: KernelEngine | None = None,
    output: Path | None = None,
) -> None:
    """Run `job` in `image`, and write what it changed; we have to be root.

    `engine` is one for root; left out, the best that works here. What it prints goes to `output`.

    Raises:
        BuildError: the program failed; the error ends with its last lines.
        EngineError: nothing can be run here.
    """
    way = (engine or Chroot(os.environ)).working_way()
    if job.mounted and not way.namespaces:
        what = "secrets" if job.secrets else "files"
        raise EngineError(f"{what} can't be mounted here: this machine allows no mounts at all")
    subordinate = is_subordinate()
    # What a namespace's root leaves behind only such a root can sweep.
    runs = cache_directory() / ("runs-subordinate" if subordinate else "runs")
    with scratch_directory(runs) as work:
        root, below = work / "root", work / "below"
        root.mkdir(mode=0o755)
        if subordinate:
            # A cache of ours would hold files that the user can't delete.
            below.mkdir(mode=0o755)
            unpack(image, below)
        else:
            below = cached_root(image, cache_directory() / "rootfs")
        plan = Plan(way.namespaces, False, str(root), None, _ROOT)
        copied_ns = None
        after = root
        if way.overlay:
            plan = _with_overlay(plan, overlay_folders(below, work))
            after = work / "above"
        else:
            unpack(image, root)
            copied_ns = _now_ns(work)
        scaffolding = _scaffolding(job, below)
        _run(plan, job, work, output or work / "output")
        capture(Roots(below, after, copied_ns, _left_out(job), scaffolding), writer)


def is_subordinate() -> bool:
    """Whether our root is that of a user namespace, not the machine's."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]


def _not_made(_: LayerWriter) -> None:
    raise BuildError("the layer went away while it was used")


def _with_overlay(plan: Plan, folders: Mapping[str, str]) -> Plan:
    # What was copied up is compared: no half copies, and no hints to where it came from.
    options = ["userxattr"] if is_subordinate() else ["redirect_dir=off", "metacopy=off"]
    return dataclasses.replace(plan, overlay=folders, overlay_options=options)


def _run(plan: Plan, job: Job, work: Path, printed: Path) -> None:
    plan = dataclasses.replace(
        plan,
        arguments=job.arguments,
        environment=job.environment,
        mounts=[Binding(os.path.realpath(source), at, True) for source, at in job.mounted],
    )
    with printed.open("w+b") as output:
        try:
            code = launch(plan, None, work, output=output)
        except LaunchError as error:
            raise BuildError(f"{job.what}: {error.message}") from error
        if code:
            raise BuildError(f"{job.what}: exit code {code}\n{_last_lines(output, job)}")


def _secret_values(job: Job) -> list[bytes]:
    return secret_values([source for source, _ in job.secrets])


def _last_lines(output: BinaryIO, job: Job) -> str:
    size_bytes = output.seek(0, os.SEEK_END)
    output.seek(max(0, size_bytes - _LAST_BYTES))
    text = hidden(output.read(), _secret_values(job))
    lines = text.decode(errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  it printed nothing"


def _left_out(job: Job) -> Callable[[bytes], bool]:
    patterns = (*_NOT_OURS, *(os.fsencode(pattern) for pattern in job.forget))
    mounted = {os.fsencode(target).strip(b"/") for _, target in job.mounted}

    def left_out(path: bytes) -> bool:
        return path in mounted or any(fnmatch.fnmatchcase(path, each) for each in patterns)

    return left_out


def _scaffolding(job: Job, below: Path) -> set[bytes]:
    """Folders that are made for the run: those of every run, and those above what is mounted."""
    found = set(_SCAFFOLDING)
    for _, target in job.mounted:
        parent = os.path.dirname(os.fsencode(target).strip(b"/"))
        while parent and not os.path.lexists(os.path.join(os.fsencode(below), parent)):
            found.add(parent)
            parent = os.path.dirname(parent)
    return found


def _now_ns(work: Path) -> int:
    """The time by the clock of the file system that `work` is on."""
    marker = work / "marker"
    marker.touch()
    return marker.stat().st_ctime_ns
