# SPDX-License-Identifier: Apache-2.0
"""Runs the smoke test in each image of the specs that are named: the last step of `make images`.

Modules are those of the image's plugins. Ends with 1 when any image fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from imagekit.catalogue.find import find_plugin
from imagekit.fleet.find import find_specs

PROGRAM = Path(sys.executable).with_name("imagekit")


def smoke(address: Path, plugins: tuple[str, ...]) -> bool:
    """Whether the image of `address` stands the test; what it says goes to stdout."""
    modules = sorted({module for name in plugins for module in find_plugin(name).modules})
    words = ["run", str(address), "smoke:check", f"modules={json.dumps(modules)}"]
    print(f"{address}:", flush=True)
    return subprocess.run([PROGRAM, *words], check=False).returncode == 0


def main(places: list[str]) -> int:
    results = [smoke(address, tuple(spec.plugins)) for address, spec in find_specs(places).items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
