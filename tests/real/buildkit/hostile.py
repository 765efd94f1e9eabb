# SPDX-License-Identifier: Apache-2.0
"""A project whose names, modes and values are easily lost on the way into an image."""

from __future__ import annotations

import json
from pathlib import Path

HOSTILE = {
    "SPACES": "  two  words ",
    "QUOTES": "\"double\" 'single' `back`",
    "DOLLARS": "$HOME ${PATH:-x} $$ \\$x",
    "BACKSLASHES": "C:\\new\\table\\",
    "HASH": "# no comment",
    "LINES": "one\ntwo\r\n\ttabbed\n",
    "UNICODE": "naïve ☃ 𝄞",
    "EMPTY": "",
    "JSON": '{"a": ["b", "$c"]}',
}
COMMANDS = [
    """printf '%s' 'it'"'"'s $HOME "x" \\ `y`' > /root/made""",
    'printf "%s" "$SPACES|$QUOTES|$DOLLARS|$BACKSLASHES|$HASH|$LINES|$UNICODE|$JSON" > /root/seen',
    "id -u > /root/who; pwd > /root/where\nchmod 640 /root/made",
    "cat > /root/here <<'END'  # of several lines\n'$HOME'\n\tthere\nEND\n",
    "echo last > /root/last  # and not left out",
]
SPEC = {
    "name": "imagekit-test/hostile",
    "python_version": "3.11",
    "object_storage": False,
    "packages": ["iniconfig==2.1.0", "six"],
    "source_root": "src",
    "copy": ["data"],
    "env": HOSTILE,
    "commands": COMMANDS,
    "labels": {"a.b/c": 'x "y" $z\nnext', "d": ""},
}
TASK = "import os\n\ndef seen() -> dict[str, str]:\n    return dict(os.environ)\n"


def write_project(root: Path) -> None:
    """The files of the spec, and `native.yaml` for the native builder."""
    write_spec(root / "native.yaml")
    source = root / "src"
    source.mkdir()
    (source / "task.py").write_text(TASK)
    (source / "run me.sh").write_text("#!/bin/sh\n")
    (source / "run me.sh").chmod(0o755)
    (source / 'we*ird [x] "q" $y \\ ü').write_text("1")
    (source / "link").symlink_to("task.py")
    (source / "folder/empty").mkdir(parents=True)
    (source / "private").write_text("2")
    (source / "private").chmod(0o600)
    (source / "same").hardlink_to(source / "private")
    (root / "data").mkdir()
    for number in range(1000):
        (root / f"data/{number:04}").write_text(str(number))


def write_spec(path: Path, **builder: object) -> None:
    path.write_text(json.dumps({**SPEC, **builder}, ensure_ascii=False), "utf-8")
