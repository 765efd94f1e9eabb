# SPDX-License-Identifier: Apache-2.0
"""Small images for tests: layers made by our own writer, or by tarfile for hostile ones."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import deflate

from imagekit.layers.writer import LayerWriter
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer

PROGRAMS = ("sh", "cat", "id", "env", "ls", "sleep", "stat", "touch", "readlink", "mkdir", "kill")


def make_layer(folder: Path, write: Callable[[LayerWriter], None]) -> FileLayer:
    buffer = io.BytesIO()
    writer = LayerWriter(buffer)
    write(writer)
    written = writer.finish()
    path = folder / written.digest.removeprefix("sha256:")
    path.write_bytes(buffer.getvalue())
    return FileLayer(written.digest, written.diff_id, written.size_bytes, path)


def file_layer(folder: Path, files: Mapping[str, bytes]) -> FileLayer:
    def write(writer: LayerWriter) -> None:
        for path in sorted(files):
            writer.file(path, files[path])

    return make_layer(folder, write)


def tar_layer(folder: Path, members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> FileLayer:
    """A layer with any members at all, the hostile kind included."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    return raw_layer(folder, buffer.getvalue())


def raw_layer(folder: Path, tar: bytes) -> FileLayer:
    compressed = bytes(deflate.gzip_compress(tar, 1))
    digest = hashlib.sha256(compressed).hexdigest()
    path = folder / digest
    path.write_bytes(compressed)
    diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
    return FileLayer(f"sha256:{digest}", diff_id, len(compressed), path)


def image_of(*layers: FileLayer, settings: Settings | None = None) -> Image:
    additions = [Addition(layer, f"test layer {at}") for at, layer in enumerate(layers)]
    return assemble(None, additions, settings or Settings())


def bare_base(folder: Path, python: str, glibc: str) -> Image:
    """One that only says which Python and glibc it has; nothing of it runs."""
    files = {
        "etc/os-release": b"ID=debian\n",
        "etc/passwd": b"root:x:0:0::/root:/bin/sh\n",
        "usr/bin/python3": f"\x7fELF...\x00{python}\x00...".encode(),
        "usr/lib/x86_64-linux-gnu/libc.so.6": f"\x7fELF stable release version {glibc}.".encode(),
    }
    return image_of(file_layer(folder, files))


def host_image(folder: Path, settings: Settings | None = None) -> Image:
    """An image with a shell and a few programs of this machine, in two layers, that really runs."""
    files: dict[str, Path] = {}
    for name in PROGRAMS:
        program = shutil.which(name, path="/usr/bin:/bin")
        assert program is not None, name
        files[f"bin/{name}"] = Path(program)
        listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
        for library in re.findall(r"(/\S+) \(0x", listing.stdout):
            files[library.lstrip("/")] = Path(library)
    programs = make_layer(folder, lambda writer: _programs(writer, files))
    accounts = make_layer(folder, _accounts)
    chosen = settings or Settings(user="task", workdir="/root", environment={"GREETING": "hello"})
    return image_of(programs, accounts, settings=chosen)


def _programs(writer: LayerWriter, files: Mapping[str, Path]) -> None:
    for path in sorted(files):
        writer.file(path, files[path].read_bytes(), mode=0o755)


def _accounts(writer: LayerWriter) -> None:
    writer.file("etc/group", b"root:x:0:\nextra:x:2000:task\n")
    writer.symlink("etc/resolv.conf", "../run/nothing/resolv.conf")
    accounts = b"root:x:0:0::/root:/bin/sh\ntask:x:1000:0::/root:/bin/sh\n"
    writer.file("etc/passwd", accounts)
    writer.directory("root", mode=0o775, uid=1000)
    writer.file("root/notes", b"from the image\n", uid=1000, mode=0o664)


def busybox_image(folder: Path, settings: Settings) -> Image:
    """An image of nothing but this machine's busybox: a shell, a web server, and the rest."""
    program = shutil.which("busybox")
    assert program is not None
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    files = {library.lstrip("/"): Path(library) for library in re.findall(r"(/\S+) \(0x", listing)}
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)

    def write(writer: LayerWriter) -> None:
        _programs(writer, {"bin/busybox": Path(program), **files})
        for name in sorted({*applets.stdout.split()} - {"busybox"}):
            writer.symlink(f"bin/{name}", "busybox")
        writer.file("etc/group", b"root:x:0:\n")
        writer.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\ntask:x:1000:0::/root:/bin/sh\n")
        writer.directory("root", mode=0o775, uid=1000)
        writer.directory("tmp", mode=0o1777)

    return image_of(make_layer(folder, write), settings=settings)
