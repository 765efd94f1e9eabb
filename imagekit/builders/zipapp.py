# SPDX-License-Identifier: Apache-2.0
"""The runtime as one file, for images that may not be rebuilt: `make pyz`.

Run as `python -I imagekit.pyz execute ...` by any Python from 3.10 on. It holds what the runtime
wheel holds, always with the same bytes.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from imagekit.builders.runtime import runtime_files
from imagekit.files import replacing

_MAIN = """\
import sys
from entrypoint.__main__ import start
del sys.modules["entrypoint.__main__"]
sys.exit(start())
"""
_DATE = (1980, 1, 2, 0, 0, 0)


def write_zipapp(target: Path) -> None:
    """Write the runtime to a file, complete or absent."""
    files = {"__main__.py": _MAIN.encode()}
    files.update(runtime_files(Path(__file__).parent.parent.parent))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, mode=0o755) as stream, zipfile.ZipFile(stream, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, _DATE), data)


if __name__ == "__main__":
    write_zipapp(Path(sys.argv[1]))
