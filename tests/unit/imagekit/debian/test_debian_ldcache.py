# SPDX-License-Identifier: Apache-2.0
"""The loader's cache is made as ldconfig(8) makes it."""

import hashlib
import itertools
import platform
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagekit.debian.elf import SharedObject, read_shared_object
from imagekit.debian.ldcache import Library, compare, decode, encode, extended, make_cache
from imagekit.debian.tree import DIRECTORY, FILE, LINK, Node, Tree
from imagekit.errors import BuildError

HERE = platform.machine()
ARCHITECTURE, MACHINE = {"x86_64": ("amd64", 62), "aarch64": ("arm64", 183)}[HERE]
NAMES = ["libz.so.1", "libc.so.6", "libb-1.10.so", "libb-1.9.so", "libb.so", "lib2.so", "libB.so"]


def shared_object(soname: str, machine: int = 62) -> bytes:
    """The smallest ELF file that names itself."""
    strings = b"\0" + soname.encode() + b"\0"
    dynamic_at, strings_at = 64 + 2 * 56, 64 + 2 * 56 + 3 * 16
    end = strings_at + len(strings)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x1000, 0x1000, end, end, 4096)
    dynamic = struct.pack("<IIQQQQQQ", 2, 4, dynamic_at, 0, 0, 48, 48, 8)
    entries = struct.pack("<qQqQqQ", 5, 0x1000 + strings_at, 14, 1, 0, 0)
    return header + load + dynamic + entries + strings


def tree_of(root: Path, files: dict[str, bytes], links: dict[str, str]) -> Tree:
    nodes = {}
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        nodes[path] = Node(FILE, 0o644, 0, 0, "", len(data), hashlib.sha256(data).hexdigest())
    for path, target in links.items():
        nodes[path] = Node(LINK, 0o777, target=target)
    for path in list(nodes):
        for parent in itertools.accumulate(path.split("/")[:-1], lambda a, b: f"{a}/{b}"):
            nodes.setdefault(parent, Node(DIRECTORY, 0o755))
    return Tree(root, nodes)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    files = {
        "etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n",
        "etc/ld.so.conf.d/a.conf": b"# note\n/usr/local/lib\n/lib/x86_64-linux-gnu\n",
        "usr/local/lib/libz.so.1": shared_object("libz.so.1"),
        "usr/lib/x86_64-linux-gnu/libz.so.1.2": shared_object("libz.so.1"),
        "usr/lib/x86_64-linux-gnu/libn.so.2.1": shared_object("libn.so.2"),
        "usr/lib/x86_64-linux-gnu/libarm.so.1": shared_object("libarm.so.1", 183),
        "usr/lib/x86_64-linux-gnu/libtext.so": b"GROUP ( libz.so.1 )",
        "usr/lib/x86_64-linux-gnu/deep/liba.so.1": shared_object("liba.so.1"),
        "usr/lib/x86_64-linux-gnu/plugin.so": shared_object("plugin.so"),
    }
    links = {"lib": "usr/lib", "usr/lib/x86_64-linux-gnu/libz.so.1": "libz.so.1.2"}
    return tree_of(tmp_path, files, links)


def test_the_libraries_of_the_architecture_are_listed_in_search_order(tree: Tree) -> None:
    """Configured folders first; text, other machines, subfolders and plug-ins are left out."""
    cache, _ = make_cache(tree, "amd64")
    paths = [value for value in cache.split(b"\0") if b"/" in value and b".so" in value]
    assert paths == [
        b"/usr/local/lib/libz.so.1",
        b"/lib/x86_64-linux-gnu/libz.so.1",
        b"/lib/x86_64-linux-gnu/libn.so.2",
    ]


def test_links_that_ldconfig_would_make_are_reported(tree: Tree) -> None:
    """A library whose file is not called as it calls itself."""
    _, links = make_cache(tree, "amd64")
    assert links == {"usr/lib/x86_64-linux-gnu/libn.so.2": "libn.so.2.1"}


@pytest.mark.skipif(shutil.which("ldconfig") is None, reason="ldconfig is the oracle")
def test_ldconfig_reads_the_cache(tmp_path: Path) -> None:
    """It prints the entries that went in, in an order of its own that is ours."""
    path = tmp_path / "cache"
    path.write_bytes(encode([Library(name, f"/lib/{name}", 0x0303) for name in NAMES]))
    printed = subprocess.run(
        ["ldconfig", "-p", "-C", str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert printed[0].startswith(f"{len(NAMES)} libs found")
    assert sorted(line.strip() for line in printed[1:]) == sorted(
        f"{name} (libc6,x86-64) => /lib/{name}" for name in NAMES
    )


@pytest.mark.skipif(shutil.which("ldconfig") is None, reason="ldconfig is the oracle")
def test_a_cache_is_extended_as_ldconfig_does_with_one_more_folder(tmp_path: Path) -> None:
    """This machine's own cache, and the same with libraries in a folder behind the others."""
    folder, usual = tmp_path / "added", f"/usr/lib/{HERE}-linux-gnu"
    folder.mkdir()
    names = ["libcudart.so.12", "libz.so.1", "libc.so.6", "libaa.so", "libnvrtc-builtins.so.12.6"]
    for name in names:
        (folder / name).write_bytes(shared_object(name, MACHINE))

    def made(name: str, *folders: Path | str) -> bytes:
        cache, configuration = tmp_path / name, tmp_path / f"{name}.conf"
        configuration.write_text("".join(f"{each}\n" for each in folders))
        subprocess.run(["ldconfig", "-X", "-i", "-C", cache, "-f", configuration], check=True)
        return cache.read_bytes()

    added = [(name, f"{folder}/{name}") for name in names]
    before, after = made("before", usual), made("after", usual, folder)
    assert len([*decode(after)]) == len([*decode(before)]) + len(names)
    assert [*decode(extended(before, added, ARCHITECTURE))] == [*decode(after)]
    alone = decode(extended(b"", added, ARCHITECTURE))
    assert {each.path for each in alone} == {path for _, path in added}


@pytest.mark.parametrize("cache", [b"ld.so-1.7.0", b"glibc-ld.so.cache1.1\xff" + b"\xff" * 60])
def test_what_is_no_cache_is_not_extended(cache: bytes) -> None:
    """It is an error, not a guess."""
    with pytest.raises(BuildError, match="none that its loader reads"):
        extended(cache, [], "amd64")


def test_entries_are_sorted_for_bisection() -> None:
    """Downwards by the loader's order, whatever order they come in."""
    libraries = [Library(name, f"/lib/{name}", 0x0303) for name in NAMES]
    assert encode(libraries) == encode(libraries[::-1])


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("libb-1.9.so", "libb-1.10.so"),
        ("libb.so", "libb.so.1"),
        ("liba.so.1", "libb.so.1"),
        ("lib.so", "lib2.so"),
        ("libc.so.06", "libc.so.7"),
    ],
)
def test_names_are_compared_as_the_loader_does(lower: Any, higher: Any) -> None:
    """Numbers by their value, digits after all else, longer names after shorter."""
    assert compare(lower, higher) < 0 < compare(higher, lower)
    assert compare(lower, lower) == 0


def test_a_shared_object_tells_its_name() -> None:
    """From the file's own dynamic section."""
    assert read_shared_object(shared_object("libq.so.3")) == SharedObject(62, "libq.so.3")


@pytest.mark.parametrize("length", range(0, 230, 7))
def test_a_damaged_file_is_no_library(length: Any) -> None:
    """Cut anywhere, it is left out; it never ends the build."""
    assert read_shared_object(shared_object("libq.so.3")[:length]) is None
