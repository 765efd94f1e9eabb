# SPDX-License-Identifier: Apache-2.0
"""Starts `inside.py` with a plan, gives its user namespace its maps, and waits for its program."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from imagekit.engines import inside
from imagekit.engines.process import exit_code, forwarding, own_terminal
from imagekit.engines.users import Identity
from imagekit.errors import EngineError
from imagekit.values import frozen

_NAMESPACES_MADE = b"U"


class LaunchError(EngineError):
    """The program never started; `number` is the errno."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@frozen
class Binding:
    source: str
    target: str
    read_only: bool


@frozen
class Plan:
    """What `inside.py` is to do, as JSON.

    `root` is the image's root, or where `overlay` (lowerdir, upperdir, workdir) is mounted.
    `identity` None: the map of IDs makes us that user. Without `arguments` nothing is started.
    """

    namespaces: bool
    user_namespace: bool
    root: str
    overlay: Mapping[str, str] | None
    identity: Identity | None
    workdir: str = "/"
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mounts: Sequence[Binding] = ()
    keyboard: bool = True
    overlay_options: Sequence[str] = ()


@frozen
class IdMaps:
    """Lines for uid_map and gid_map; `groups` False gives up setgroups, as the kernel demands."""

    users: str
    groups: str
    set_groups: bool


def maps_for(identity: Identity) -> IdMaps:
    """Root keeps every ID that it has here. Anybody else is alone, as the image's user."""
    if os.geteuid() == 0:
        return IdMaps(_own_ids("uid_map"), _own_ids("gid_map"), set_groups=True)
    return IdMaps(
        f"{identity.uid} {os.geteuid()} 1", f"{identity.gid} {os.getegid()} 1", set_groups=False
    )


def launch(plan: Plan, maps: IdMaps | None, work: Path, *, output: BinaryIO | None = None) -> int:
    """Run the plan's program to its end; returns its exit code.

    Args:
        plan: what to do; its `keyboard` is set here.
        maps: of the user namespace, if it has one.
        work: a folder of ours for the plan's file.
        output: takes what it prints, and it has no stdin; None leaves it ours.

    Raises:
        LaunchError: the program could not be started.
    """
    keyboard = not own_terminal()
    plan_file = work / "plan.json"
    plan_file.write_text(
        json.dumps(dataclasses.asdict(dataclasses.replace(plan, keyboard=keyboard)))
    )
    report, reporting = os.pipe()
    waiting, go = os.pipe()
    with io.FileIO(report, "r") as reports, io.FileIO(go, "w") as gate:
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    inside.__file__,
                    plan_file,
                    str(reporting),
                    str(waiting),
                ],
                pass_fds=(reporting, waiting),
                start_new_session=keyboard,
                stdin=None if output is None else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        finally:
            os.close(reporting)
            os.close(waiting)
        with process, forwarding(process, keyboard=keyboard):
            failure = _attend(reports, gate, process.pid, maps)
            code = exit_code(process.wait())
    if failure:
        number, _, message = failure.decode(errors="replace").partition(" ")
        raise LaunchError(int(number), message)
    return code


def _attend(reports: io.FileIO, gate: io.FileIO, process: int, maps: IdMaps | None) -> bytes:
    """Give the maps when they are asked for; returns the error that is reported, if any."""
    first = reports.read(1)
    if first != _NAMESPACES_MADE:
        return first + reports.read()
    if maps is not None:
        try:
            _write_maps(Path(f"/proc/{process}"), maps)
        except OSError as error:
            gate.close()
            return f"{error.errno} mapping users: {error.strerror}".encode()
    gate.write(b"M")
    return reports.read()


def _write_maps(process: Path, maps: IdMaps) -> None:
    if not maps.set_groups:
        (process / "setgroups").write_text("deny")
    (process / "uid_map").write_text(maps.users)
    (process / "gid_map").write_text(maps.groups)


def _own_ids(name: str) -> str:
    """Every ID that is mapped here, onto itself."""
    lines = Path("/proc/self", name).read_text().splitlines()
    spans = [line.split() for line in lines]
    return "\n".join(f"{inside} {inside} {count}" for inside, _, count in spans)
