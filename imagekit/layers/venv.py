# SPDX-License-Identifier: Apache-2.0
"""The environment that wheels are installed in: one prefix on every base (PEP 405)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagekit.layers.writer import LayerWriter

from imagekit.values import frozen

PREFIX = "opt/venv"


@frozen
class Venv:
    """A venv over the interpreter at `python`, an absolute path in the base.

    Attributes:
        version: the interpreter's full version, as in `3.11.2`.
    """

    python: str
    version: str

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def site_packages(self) -> str:
        """Without a leading slash, as layers write paths."""
        return f"{PREFIX}/lib/python{self.minor}/site-packages"

    @property
    def executable(self) -> str:
        return f"/{PREFIX}/bin/python"

    @property
    def reserved(self) -> frozenset[str]:
        """Paths that the venv itself writes, and no wheel may."""
        names = ("python", "python3", f"python{self.minor}")
        links = {f"{PREFIX}/bin/{name}" for name in names}
        return frozenset(links | {f"{PREFIX}/pyvenv.cfg", f"{PREFIX}/lib64"})

    @property
    def links(self) -> Mapping[str, str]:
        """Links below the prefix, and where they lead."""
        return {
            "bin/python": self.python,
            "bin/python3": "python",
            f"bin/python{self.minor}": "python",
            "lib64": "lib",
        }

    @property
    def settings(self) -> bytes:
        """What pyvenv.cfg says."""
        settings = {
            "home": self.python.rpartition("/")[0],
            "implementation": "CPython",
            "version_info": self.version,
            "include-system-site-packages": "false",
        }
        return "".join(f"{key} = {value}\n" for key, value in settings.items()).encode()

    def write(self, writer: LayerWriter) -> None:
        writer.directory(self.site_packages)
        for name, target in self.links.items():
            writer.symlink(f"{PREFIX}/{name}", target)
        writer.file(f"{PREFIX}/pyvenv.cfg", self.settings)
