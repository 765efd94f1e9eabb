# SPDX-License-Identifier: Apache-2.0
"""Makes /etc/ld.so.cache as ldconfig(8) would, for any architecture on any host.

The file has glibc's format `glibc-ld.so.cache1.1`: a header, entries that the loader searches by
bisection, and their strings.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cmp_to_key

from imagekit.debian.elf import read_shared_object
from imagekit.debian.tree import DIRECTORY, LINK, Tree
from imagekit.errors import BuildError
from imagekit.values import frozen

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_LITTLE_ENDIAN = 2
_ELF_LIBC6 = 0x0003


@frozen
class _Target:
    """`flags` are glibc's (dl-cache.h), `machine` ELF's; `triplet` names Debian's folders."""

    machine: int
    flags: int
    triplet: str


_TARGETS: Mapping[str, _Target] = {
    "amd64": _Target(62, 0x0300 | _ELF_LIBC6, "x86_64-linux-gnu"),
    "arm64": _Target(183, 0x0A00 | _ELF_LIBC6, "aarch64-linux-gnu"),
}


@frozen
class Library:
    """The loader finds the library `soname` at `path`, which is absolute in the image.

    `flags` are those of the architecture, and of the C library that it is for.
    """

    soname: str
    path: str
    flags: int


def make_cache(tree: Tree, architecture: str) -> tuple[bytes, dict[str, str]]:
    """The cache's bytes, and the links that ldconfig would add: path in the tree to its target."""
    target = _TARGETS[architecture]
    found: list[Library] = []
    links: dict[str, str] = {}
    seen: set[str] = set()
    for directory in _directories(tree, target):
        real = tree.resolve(directory)
        if real is None or real in seen:
            continue
        seen.add(real)
        for soname, name in sorted(_libraries(tree, real, target).items()):
            found.append(Library(soname, f"{directory}/{soname}", target.flags))
            if f"{real}/{soname}" not in tree.nodes:
                links[f"{real}/{soname}"] = name
    return encode(found), links


def extended(cache: bytes, added: Iterable[tuple[str, str]], architecture: str) -> bytes:
    """`cache`, empty where there is none, with libraries behind its own: each soname and path.

    Variants for better processors are left out: the loader takes what is for all of them.

    Raises:
        BuildError: it is no cache of the loader's.
    """
    flags = _TARGETS[architecture].flags
    new = [Library(soname, path, flags) for soname, path in added]
    return encode([*decode(cache), *new])


def decode(cache: bytes) -> Iterator[Library]:
    """The libraries of a cache, in its order; those for particular processors left out."""
    if not cache:
        return
    # Before glibc 2.32 ldconfig put a table of the older format in front.
    start = cache.find(_MAGIC)
    try:
        _, count, *_ = _HEADER.unpack_from(cache, start)
        for number in range(count):
            at = start + _HEADER.size + number * _ENTRY.size
            flags, key, value, _, processors = _ENTRY.unpack_from(cache, at)
            if not processors:
                yield Library(_text(cache, start + key), _text(cache, start + value), flags)
    except (struct.error, ValueError) as error:
        raise BuildError("the base's /etc/ld.so.cache is none that its loader reads") from error


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("utf-8", "surrogateescape")


def encode(libraries: Iterable[Library]) -> bytes:
    """The file for `libraries`; of several with one name the first given is found first."""
    # sorted() is stable, also in reverse.
    by_name = cmp_to_key(compare)
    order = sorted(libraries, key=lambda library: by_name(library.soname), reverse=True)
    start = _HEADER.size + _ENTRY.size * len(order)
    strings = bytearray()
    entries = bytearray()
    for library in order:
        value = start + len(strings)
        path = library.path.encode("utf-8", "surrogateescape") + b"\0"
        soname = library.soname.encode("utf-8", "surrogateescape") + b"\0"
        strings += path
        key = value + len(path) - len(soname)
        if not path.endswith(soname):
            key = start + len(strings)
            strings += soname
        entries += _ENTRY.pack(library.flags, key, value, 0, 0)
    header = _HEADER.pack(_MAGIC, len(order), len(strings), _LITTLE_ENDIAN, 0)
    return header + bytes(entries) + bytes(strings)


def _directories(tree: Tree, target: _Target) -> Iterator[str]:
    """Absolute, in the order of ldconfig: what the configuration names, then its own."""
    yield from _configured(tree, "etc/ld.so.conf", depth=0)
    for top in ("/lib", "/usr/lib"):
        yield f"{top}/{target.triplet}"
    yield from ("/lib", "/usr/lib")


def _configured(tree: Tree, path: str, *, depth: int) -> Iterator[str]:
    node = tree.nodes.get(path)
    if node is None or node.kind == DIRECTORY:
        return
    if depth > 10:
        raise BuildError(f"/{path} includes itself")
    for line in tree.read(path).decode("utf-8", "surrogateescape").splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                for included in sorted(tree.nodes):
                    if fnmatchcase(included, pattern.lstrip("/")):
                        yield from _configured(tree, included, depth=depth + 1)
        elif words:
            yield words[0].rstrip("/")


def _libraries(tree: Tree, directory: str, target: _Target) -> dict[str, str]:
    """Each soname in a directory, and the name of the file that is it."""
    found: dict[str, str] = {}
    prefix = directory + "/"
    for path in tree.nodes:
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or "/" in name or not named_like_library(name):
            continue
        soname = _soname(tree, path, name, target)
        if soname is None:
            continue
        # The link that is called as the soname says comes first; then the highest version.
        if soname not in found or name == soname or _newer(name, found[soname], soname):
            found[soname] = name
    return found


def _newer(name: str, present: str, soname: str) -> bool:
    return present != soname and compare(name, present) > 0


def named_like_library(name: str) -> bool:
    return name.startswith(("lib", "ld-")) and ".so" in name


def _soname(tree: Tree, path: str, name: str, target: _Target) -> str | None:
    real = tree.resolve(path)
    if real is None or tree.nodes[real].kind in (DIRECTORY, LINK):
        return None
    shared = read_shared_object(tree.read(real))
    if shared is None or shared.machine != target.machine or "/" in shared.soname:
        return None
    return shared.soname or name


def compare(one: str, other: str) -> int:
    """The loader's order of names (`_dl_cache_libcmp`): numbers by value, and after all else."""
    a, b = 0, 0
    while a < len(one):
        if one[a].isdigit() and other[b : b + 1].isdigit():
            first, a = _number(one, a)
            second, b = _number(other, b)
            if first != second:
                return first - second
        elif one[a].isdigit():
            return 1
        elif other[b : b + 1].isdigit():
            return -1
        elif one[a] == other[b : b + 1]:
            a, b = a + 1, b + 1
        else:
            return ord(one[a]) - (ord(other[b]) if b < len(other) else 0)
    return -len(other[b:])


def _number(text: str, start: int) -> tuple[int, int]:
    end = start
    while end < len(text) and text[end].isdigit():
        end += 1
    return int(text[start:end]), end
