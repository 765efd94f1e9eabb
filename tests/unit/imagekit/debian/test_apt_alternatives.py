# SPDX-License-Identifier: Apache-2.0
"""Alternatives come out as update-alternatives leaves them; it is the judge where it is there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from imagekit.debian.apt.alternatives import FOLDER, Alternative, installed

WANTED = [
    Alternative(
        "/usr/bin/tool",
        "tool",
        "/usr/bin/tool.one",
        50,
        {
            "tool-x": ("/usr/bin/tool-x", "/usr/bin/tool.one-x"),
            "tool.1": ("/usr/share/man/tool.1", "/usr/share/man/tool.one.1"),
        },
    ),
    Alternative("/usr/bin/tool", "tool", "/usr/bin/tool.two", 60, {}),
    Alternative("/usr/bin/other", "other", "/usr/bin/tool.two", 5, {}),
]


@pytest.mark.skipif(shutil.which("update-alternatives") is None, reason="it is the judge")
@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0], [0], [1, 2]])
def test_files_and_links_are_those_of_the_program(tmp_path: Path, order: list[int]) -> None:
    """Choices by priority, slaves that are there, and dpkg's files to the byte."""
    present = ["/usr/bin/tool.one", "/usr/bin/tool.two", "/usr/bin/tool.one-x"]
    for path in [*present, "/etc/alternatives/x", f"/{FOLDER}/x"]:
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    wanted = [WANTED[number] for number in order]
    for each in wanted:
        given = [each.link, each.name, each.path, str(each.priority)]
        for name, (link, path) in each.slaves.items():
            (tmp_path / link.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            given += ["--slave", link, name, path]
        program = ["update-alternatives", "--quiet", "--root", str(tmp_path), "--log", os.devnull]
        subprocess.run([*program, "--install", *given], check=True)
    files, links = installed(wanted, lambda _: "", lambda path: path in present)
    assert {f"{FOLDER}/{name}" for name in os.listdir(tmp_path / FOLDER)} - {f"{FOLDER}/x"} == {
        *files
    }
    assert files == {path: (tmp_path / path).read_bytes() for path in files}
    found = {
        str(place.relative_to(tmp_path)): os.readlink(place)
        for place in tmp_path.rglob("*")
        if place.is_symlink()
    }
    assert links == found


def test_choices_of_the_base_stay() -> None:
    """A better one of its own keeps the link, and one that was made by hand keeps it always."""
    text = "auto\n/usr/bin/tool\n\n/usr/bin/tool.three\n90\n\n"
    files, links = installed([WANTED[1]], lambda _: text, lambda _: True)
    assert (
        files[f"{FOLDER}/tool"]
        .decode()
        .startswith("auto\n/usr/bin/tool\n\n/usr/bin/tool.three\n90")
    )
    assert links["etc/alternatives/tool"] == "/usr/bin/tool.three"
    manual = text.replace("auto", "manual")
    assert installed([WANTED[1]], lambda _: manual, lambda _: True)[1] == {}
