# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagekit.errors import BuildError, IntegrityError
from imagekit.layers.claims import claims_of
from imagekit.layers.conflicts import refuse_conflicts
from imagekit.layers.venv import Venv
from imagekit.layers.wheel_file import WheelFile
from imagekit.layers.wheel_layer import write_wheels
from imagekit.layers.writer import LayerWriter
from tests.fakes.wheels import make_wheel

VENV = Venv("/usr/bin/python3.11", "3.11.2")
SITE = "opt/venv/lib/python3.11/site-packages"


def installed(*wheels: WheelFile) -> dict[str, tuple[bytes, int]]:
    sink = io.BytesIO()
    writer = LayerWriter(sink)
    write_wheels(writer, wheels, VENV, None)
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue()), mode="r:gz") as archive:
        return {
            member.name: (stream.read(), member.mode)
            for member in archive
            if (stream := archive.extractfile(member)) is not None
        }


def test_each_kind_of_file_has_its_place(tmp_path: Path) -> None:
    """Modules, scripts, headers and data of a wheel land where the wheel format says."""
    files = {
        "thing/__init__.py": b"",
        "thing-1.0.data/scripts/tool": b"#!python -u\nprint()\n",
        "thing-1.0.data/scripts/program": b"\x7fELF",
        "thing-1.0.data/headers/thing.h": b"h",
        "thing-1.0.data/data/share/x": b"x",
        "thing-1.0.data/platlib/thing/native.so": b"so",
        "thing-1.0.dist-info/entry_points.txt": (
            b"[console_scripts]\nThing = thing.cli:main.run [extra]\n"
        ),
    }
    found = installed(make_wheel(tmp_path, files))

    assert (b"#!/opt/venv/bin/python -u\nprint()\n", 0o755) == found["opt/venv/bin/tool"]
    assert (b"\x7fELF", 0o755) == found["opt/venv/bin/program"]
    assert (b"h", 0o644) == found["opt/venv/include/site/python3.11/thing/thing.h"]
    assert (b"x", 0o644) == found["opt/venv/share/x"]
    assert (b"so", 0o644) == found[f"{SITE}/thing/native.so"]
    assert (b"imagekit\n", 0o644) == found[f"{SITE}/thing-1.0.dist-info/INSTALLER"]
    launcher, mode = found["opt/venv/bin/Thing"]
    assert launcher.startswith(b"#!/opt/venv/bin/python\n")
    assert b"from thing.cli import main\n" in launcher
    assert b"sys.exit(main.run())" in launcher
    assert mode == 0o755


def test_record_lists_every_installed_file(tmp_path: Path) -> None:
    """RECORD names what was installed, relative to site-packages, and itself without a hash."""
    files = {"thing/__init__.py": b"", "thing-1.0.data/scripts/tool": b"#!python\n"}
    found = installed(make_wheel(tmp_path, files))
    record = found[f"{SITE}/thing-1.0.dist-info/RECORD"][0].decode()
    listed = {line.split(",")[0] for line in record.splitlines()}

    relative = {
        path.removeprefix(f"{SITE}/").replace("opt/venv/bin/", "../../../bin/") for path in found
    }
    assert listed == relative
    assert "thing-1.0.dist-info/RECORD,,\n" in record


def test_content_that_is_not_what_record_says_is_refused(tmp_path: Path) -> None:
    """The hashes of RECORD are checked while the files are written."""
    record = "thing/__init__.py,sha256=AAAA,1\n"
    for name in ("METADATA", "WHEEL", "RECORD"):
        record += f"thing-1.0.dist-info/{name},,\n"
    wheel = make_wheel(tmp_path, {"thing/__init__.py": b"x"}, record=record)

    with pytest.raises(IntegrityError, match="not what its RECORD says"):
        installed(wheel)


def test_a_file_that_record_does_not_list_is_refused(tmp_path: Path) -> None:
    """A stowaway in the zip file does not get into the image."""
    record = "".join(f"thing-1.0.dist-info/{name},,\n" for name in ("METADATA", "WHEEL", "RECORD"))
    wheel = make_wheel(tmp_path, {"thing/stowaway.py": b"x"}, record=record)

    with pytest.raises(IntegrityError, match="is not in its RECORD"):
        installed(wheel)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"thing-1.0.data/data/bin/python": b""}, "can't be a file of a wheel"),
        ({"thing-1.0.data/scripts/python3": b""}, "can't be a file of a wheel"),
        ({"thing-1.0.data/data/lib64/x": b""}, "belongs to the environment"),
        ({"thing-1.0.data/other/x": b""}, "no such place"),
        ({"a": b"", "a/b": b""}, "can't be a file of a wheel"),
        (
            {"thing/x": b"", "thing-1.0.data/purelib/thing/x": b""},
            "writes .*thing/x twice",
        ),
        (
            {"thing-1.0.dist-info/entry_points.txt": b"[console_scripts]\n../x = a:b\n"},
            "entry point",
        ),
        (
            {"thing-1.0.dist-info/entry_points.txt": b"[console_scripts]\nx = a:b();import os\n"},
            "entry point",
        ),
    ],
)
def test_hostile_layouts_are_refused(
    tmp_path: Path, files: Mapping[str, bytes], message: str
) -> None:
    """A wheel can't overwrite the environment, leave it, or write code through a name."""
    with pytest.raises(IntegrityError, match=message):
        installed(make_wheel(tmp_path, files))


def test_two_wheels_with_different_bytes_for_one_path_are_an_error(tmp_path: Path) -> None:
    """The message names both wheels and the path."""
    first = make_wheel(tmp_path, {"shared/x.py": b"1"}, name="first")
    second = make_wheel(tmp_path, {"shared/x.py": b"2"}, name="second")

    with pytest.raises(BuildError, match=r"first-1\.0.*second-1\.0.*shared/x\.py"):
        refuse_conflicts([claims_of(first, VENV), claims_of(second, VENV)])


def test_two_wheels_may_share_a_path_with_the_same_bytes(tmp_path: Path) -> None:
    """A common namespace file is written once, and both distributions list it."""
    first = make_wheel(tmp_path, {"shared/__init__.py": b"x = 1"}, name="first")
    second = make_wheel(tmp_path, {"shared/__init__.py": b"x = 1"}, name="second")

    refuse_conflicts([claims_of(first, VENV), claims_of(second, VENV)])
    found = installed(first, second)
    for name in ("first", "second"):
        assert b"shared/__init__.py" in found[f"{SITE}/{name}-1.0.dist-info/RECORD"][0]


def test_a_file_of_one_wheel_can_not_be_a_folder_of_another(tmp_path: Path) -> None:
    """What would depend on the order of layers is an error."""
    first = make_wheel(tmp_path, {"shared": b""}, name="first")
    second = make_wheel(tmp_path, {"shared/x": b""}, name="second")

    with pytest.raises(BuildError, match="a file in one, a folder in another"):
        refuse_conflicts([claims_of(first, VENV), claims_of(second, VENV)])


def test_a_large_file_is_never_held_whole(tmp_path: Path) -> None:
    """A wheel of 200 MB becomes a layer within a tenth of that memory more than at the start."""
    make_wheel(tmp_path, {"thing/big.bin": bytes(200 << 20)})
    program = (
        "import pathlib, re, sys\n"
        "from imagekit.layers.venv import Venv\n"
        "from imagekit.layers.wheel_file import WheelFile\n"
        "from imagekit.layers.wheel_layer import write_wheels\n"
        "from imagekit.layers.writer import LayerWriter\n"
        "def peak():\n"
        "    status = open('/proc/self/status').read()\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
        "path = next(pathlib.Path(sys.argv[1]).glob('*.whl'))\n"
        "before = peak()\n"
        "with open(sys.argv[1] + '/layer', 'wb') as sink:\n"
        "    writer = LayerWriter(sink)\n"
        "    wheels = [WheelFile(path, path.name, '')]\n"
        "    write_wheels(writer, wheels, Venv('/usr/bin/python3', '3.11.2'), None)\n"
        "    writer.finish()\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) < 20_000
