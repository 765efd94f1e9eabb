# SPDX-License-Identifier: Apache-2.0
"""What is found in a base's layers, without running any of it."""

import io
import tarfile
from typing import Any, BinaryIO, cast

import pytest

from imagekit.errors import ImagekitError, IntegrityError, LockError
from imagekit.lock.outline import Entry, read_outline
from imagekit.lock.probe import BaseFacts, probe

PYTHON = b"\x7fELF...\x003.2.0\x00...\x003.11.9\x00..."
LIBC = b"\x7fELF GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"


FILES = {
    "usr/bin/python3.11": PYTHON,
    "usr/bin/python3": "python3.11",
    "lib": "usr/lib",
    "usr/lib/x86_64-linux-gnu/libc.so.6": LIBC,
    "etc/os-release": "../usr/lib/os-release",
    "usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="x"\n',
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": b"root:x:0:\n",
    "opt/": None,
}


def _layer(files: dict[str, Any], *, hard_links: Any = ()) -> list[Entry]:
    """A layer with files (bytes), links (text) and folders (None), in order."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
        for path, target in hard_links:
            info = tarfile.TarInfo(path)
            info.type, info.linkname = tarfile.LNKTYPE, target
            archive.addfile(info)
    raw.seek(0)
    return [*read_outline(cast("BinaryIO", raw))]


def _probe(
    *layers: list[Entry], search_path: Any = (), python_version: str | None = None
) -> BaseFacts:
    return probe(layers, machine="x86_64", search_path=search_path, python_version=python_version)


def test_a_base_tells_its_interpreter_libc_and_system() -> None:
    """All facts come from names and contents of files."""
    facts = _probe(_layer(FILES))
    assert (facts.python_path, facts.python_version) == ("/usr/bin/python3.11", "3.11.9")
    assert facts.glibc == "2.36"
    assert facts.os_release == {"ID": "debian", "VERSION_ID": "12"}
    assert facts.passwd.startswith("root:")
    assert facts.group == "root:x:0:\n"


def test_the_images_own_path_decides_which_python_it_is() -> None:
    """The first on PATH is what `python3` means there."""
    local = {
        "usr/local/bin/python3": "python3.12",
        "usr/local/bin/python3.12": b"small",
        "usr/local/lib/libpython3.12.so.1.0": b"/usr/src/3.12.1\x00 13.12.9\x00",
    }
    facts = _probe(_layer(FILES), _layer(local), search_path=["/usr/local/bin", "/usr/bin"])
    assert (facts.python_path, facts.python_version) == ("/usr/local/bin/python3.12", "3.12.1")
    facts = _probe(_layer(FILES), _layer(local), python_version="3.11")
    assert facts.python_path == "/usr/bin/python3.11"


def test_the_spec_may_name_the_interpreter() -> None:
    """Whatever PATH says; its name may be a link, and one that is not there is told."""
    layer = _layer({**FILES, "opt/py/bin/python3.12": b"\0" + b"3.12.1\0",
                    "opt/py/bin/python": "python3.12"})  # fmt: skip
    facts = probe(
        [layer],
        machine="x86_64",
        search_path=[],
        python_version=None,
        python_path="/opt/py/bin/python",
    )
    assert (facts.python_path, facts.python_version) == ("/opt/py/bin/python3.12", "3.12.1")
    with pytest.raises(LockError, match=r"python_exec: the base has no /opt/py/bin/pypy"):
        probe(
            [layer],
            machine="x86_64",
            search_path=[],
            python_version=None,
            python_path="/opt/py/bin/pypy",
        )
    with pytest.raises(LockError, match=r"has no Python 3\.11, only /opt/py"):
        probe(
            [layer],
            machine="x86_64",
            search_path=[],
            python_version="3.11",
            python_path="/opt/py/bin/python",
        )


def test_an_interpreter_may_be_large() -> None:
    """As Debian's is, whose version stands in its middle."""
    content = bytes(5 << 20) + PYTHON + bytes(5 << 20)
    assert _probe(_layer(FILES | {"usr/bin/python3.11": content})).python_version == "3.11.9"


def test_a_later_layer_wins() -> None:
    """Files replaced, removed and hidden by later layers are not what the image has."""
    newer = {"usr/bin/python3.11": PYTHON.replace(b"3.11.9", b"3.11.10")}
    assert _probe(_layer(FILES), _layer(newer)).python_version == "3.11.10"
    with pytest.raises(LockError, match=r"has no Python 3\.11"):
        _probe(_layer(FILES), _layer({"usr/bin/.wh.python3.11": b""}), python_version="3.11")
    with pytest.raises(LockError, match="has no glibc"):
        _probe(_layer(FILES), _layer({"usr/lib/.wh..wh..opq": b""}))


def test_files_land_where_links_of_lower_layers_lead() -> None:
    """`lib/...` in a layer above a merged /usr is a file below usr/lib."""
    newer = {"lib/x86_64-linux-gnu/libc.so.6": LIBC.replace(b"2.36", b"2.37")}
    assert _probe(_layer(FILES), _layer(newer)).glibc == "2.37"


def test_a_hard_link_is_the_file_it_names() -> None:
    """Some images link their interpreter hard."""
    files = {**FILES, "usr/bin/python3": "python3.9"}
    layer = _layer(files, hard_links=[("usr/bin/python3.9", "usr/bin/python3.11")])
    with pytest.raises(LockError, match="version unknown"):
        _probe(layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"usr/bin/python3.11": b"", "usr/bin/python3": "python3.11"}, "version unknown"),
        ({"usr/bin/python3": "nowhere"}, "has no Python 3 in"),
        ({"usr/bin/python3": "python3"}, "has no Python 3 in"),
        ({"opt": "usr/opt"}, "/opt is no folder"),
        ({"opt/venv/bin/python": b""}, "already has /opt/venv"),
        ({"opt/venv": "../srv"}, "already has /opt/venv"),
        ({"lib64/libc.so.6": LIBC.replace(b"2.36", b"2.31")}, "several glibc versions: 2.31, 2.36"),
        ({"../escape": b""}, "holds the path"),
    ],
)
def test_a_base_that_can_not_carry_a_task_is_refused(change: Any, message: Any) -> None:
    """Each with its reason; nothing is guessed."""
    files = {path: content for path, content in FILES.items() if path.strip("/") not in change}
    with pytest.raises(ImagekitError, match=message):
        _probe(_layer(files | change))


def test_a_system_file_that_was_not_read_is_told() -> None:
    """A hard link to a file of another name says nothing of what is in it."""
    files = {path: content for path, content in FILES.items() if path != "etc/passwd"}
    layer = _layer(files | {"etc/users": b"root"}, hard_links=[("etc/passwd", "etc/users")])
    with pytest.raises(LockError, match="/etc/passwd is a link to a file of another name"):
        _probe(layer)


def test_installed_python_distributions_are_found() -> None:
    """Those that this interpreter imports: Debian's, pip's, and old ones without a folder."""
    installed = {
        "usr/lib/python3/dist-packages/PyYAML-6.0.1.dist-info/METADATA": b"",
        "usr/lib/python3/dist-packages/six-1.16.0.egg-info": b"",
        "usr/local/lib/python3.11/dist-packages/ruamel.yaml-0.17.21.dist-info/METADATA": b"",
        "usr/lib/python3/dist-packages/old_one-1.0-py3.11.egg-info/PKG-INFO": b"",
        "usr/local/lib/python3.9/site-packages/numpy-1.20.0.dist-info/METADATA": b"",
        "srv/six-1.0.dist-info/METADATA": b"",
    }
    assert _probe(_layer(FILES | installed)).distributions == {
        "old-one": "1.0", "pyyaml": "6.0.1", "ruamel-yaml": "0.17.21", "six": "1.16.0"
    }  # fmt: skip


def test_an_opaque_root_hides_all_lower_layers() -> None:
    """And nothing of its own layer, in whatever order it comes."""
    facts = _probe(_layer({"opt": "srv"}), _layer(FILES | {".wh..wh..opq": b""}))
    assert facts.glibc == "2.36"


def test_another_python_than_the_spec_wants_is_refused() -> None:
    """The error says what there is."""
    with pytest.raises(LockError) as caught:
        _probe(_layer(FILES), python_version="3.13")
    assert caught.value.message == (
        "the base has no Python 3.13, only /usr/bin/python3.11 (3.11.9)"
    )


def test_musl_is_refused() -> None:
    """Wheels for it are others."""
    files = {"lib/ld-musl-x86_64.so.1": b"", "usr/bin/python3.11": PYTHON}
    with pytest.raises(LockError, match="has musl"):
        _probe(_layer(files))


def test_what_is_no_tar_is_refused() -> None:
    """It does not end in a traceback."""
    with pytest.raises(IntegrityError, match="not a tar file"):
        list(read_outline(io.BytesIO(b"no tar at all" * 100)))
