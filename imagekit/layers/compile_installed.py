# SPDX-License-Identifier: Apache-2.0
"""Compiles wheels that another installer put into a folder, as the native builder would have.

Run inside a container by the base's interpreter, never imported by imagekit itself:

    python compile_installed.py PREFIX PYTHON VENV SITE_PACKAGES DIST_INFO...

PREFIX holds what is to lie in VENV. Each distribution is one row of batches, as each wheel is one
in `wheel_layer`, so the bytes are the same.
"""

import csv
import posixpath
import sys
from pathlib import Path

from imagekit.layers.bytecode import BytecodeCompiler


def main() -> None:
    prefix, python, venv, site_packages, *dist_infos = sys.argv[1:]
    seen: set[str] = set()
    with BytecodeCompiler(Path("/"), python) as compiler:
        for dist_info in dist_infos:
            paths = [path for path in modules(prefix, site_packages, dist_info) if path not in seen]
            seen.update(paths)
            for path in paths:
                remove_bytecode(Path(prefix, path))
            sources = ((f"{venv}/{path}", Path(prefix, path).read_bytes()) for path in paths)
            for path, data in compiler.compile(sources):
                if data is not None:
                    target = Path(prefix, path[len(venv) + 1 :])
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(data)


def modules(prefix: str, site_packages: str, dist_info: str) -> list[str]:
    """The modules of a distribution by its RECORD, below the prefix, sorted."""
    record = Path(prefix, site_packages, dist_info, "RECORD")
    with record.open(encoding="utf-8", newline="") as stream:
        rows = [posixpath.normpath(f"{site_packages}/{row[0]}") for row in csv.reader(stream)]
    return sorted(
        path for path in rows if path.endswith(".py") and path.startswith(f"{site_packages}/")
    )


def remove_bytecode(module: Path) -> None:
    """What a wheel ships is replaced by what is compiled."""
    for path in module.parent.joinpath("__pycache__").glob(f"{module.stem}.*.pyc"):
        path.unlink()


if __name__ == "__main__":
    main()
