# SPDX-License-Identifier: Apache-2.0
"""Whether a wheel's shared objects are for the machine that its file name promises (ELF, gABI)."""

from __future__ import annotations

import re
import struct

from packaging.utils import parse_wheel_filename

from imagekit.errors import IntegrityError

_MACHINES = {62: "x86_64", 183: "aarch64"}  # e_machine
_SHARED_OBJECT = re.compile(r"\.so(\.\d+)*$")
_HEADER_BYTES = 20


class MachineCheck:
    """Looks at the first bytes of each shared object of one wheel.

    A wheel may bring objects for other machines along (debuggers do), so it is refused only where
    it has some and not one for a machine that its name promises. A name that promises none is
    never refused.
    """

    def __init__(self, filename: str) -> None:
        self._filename = filename
        platforms = [tag.platform for tag in parse_wheel_filename(filename)[3]]
        self._promised = {
            machine
            for machine in _MACHINES.values()
            for platform in platforms
            if platform.endswith(machine)
        }
        self._found: dict[str, str] = {}

    def wants(self, path: str) -> bool:
        return bool(self._promised) and _SHARED_OBJECT.search(path) is not None

    def see(self, path: str, beginning: bytes) -> None:
        """Take in the first bytes of a file, at least 20 of them where it has so many."""
        if len(beginning) < _HEADER_BYTES or not beginning.startswith(b"\x7fELF"):
            return
        order = ">" if beginning[5] == 2 else "<"
        (number,) = struct.unpack_from(f"{order}H", beginning, 18)
        self._found[path] = _MACHINES.get(number, f"machine {number}")

    def finish(self) -> None:
        """Raise IntegrityError where the wheel is for another machine."""
        if self._found and not self._promised & set(self._found.values()):
            path, machine = next(iter(self._found.items()))
            promised = " or ".join(sorted(self._promised))
            raise IntegrityError(
                f"{self._filename}: {path} is for {machine}, and the name of the wheel promises "
                f"{promised}",
                hint="the wheel is mislabelled: take another version, or tell its authors",
            )
