# SPDX-License-Identifier: Apache-2.0
"""The runtime as one file, for a task's image that has none: `sidecars.pyz`, packed in the pod.

Any Python from 3.10 on runs it. It holds what lies beside this package and runs in images, with the
same bytes wherever it is made.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator

_MAIN = "import sys\nfrom sidecars.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
_DATE = (1980, 1, 2, 0, 0, 0)
_PACKAGES = ("entrypoint", "sidecars")


def inject(target: str) -> None:
    """Write the file, whole or not at all; everybody may read it."""
    place = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    partial = f"{target}.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _DATE), _MAIN)
        for name in sorted(_modules(place)):
            with open(os.path.join(place, name), "rb") as file:
                archive.writestr(zipfile.ZipInfo(name, _DATE), file.read())
    os.chmod(partial, 0o644)
    os.rename(partial, target)


def _modules(place: str) -> Iterator[str]:
    for package in _PACKAGES:
        for folder, _, names in os.walk(os.path.join(place, package)):
            for name in names:
                if name.endswith(".py"):
                    yield os.path.relpath(os.path.join(folder, name), place)
