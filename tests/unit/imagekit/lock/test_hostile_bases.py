# SPDX-License-Identifier: Apache-2.0
"""A corpus of hostile base layers: probing one is one error, and costs little."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.errors import ImagekitError
from imagekit.lock.outlines import Outlines
from imagekit.lock.probe import probe
from imagekit.oci import digest
from imagekit.oci.layer import FileLayer
from tests.fakes.images import raw_layer, tar_layer

Make = Callable[[Path], FileLayer]


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def holding(*members: tuple[tarfile.TarInfo, bytes]) -> Make:
    return lambda folder: tar_layer(folder, members)


def promised(**changes: object) -> Make:
    def make(folder: Path) -> FileLayer:
        layer = tar_layer(folder, [(member("etc/x"), b"x")])
        return dataclasses.replace(layer, **changes)  # type: ignore[arg-type]

    return make


def of_bytes(data: bytes) -> Make:
    def make(folder: Path) -> FileLayer:
        path = folder / "layer"
        path.write_bytes(data)
        return FileLayer(digest.of_bytes(data), "sha256:" + "0" * 64, len(data), path)

    return make


def sparse(folder: Path) -> FileLayer:
    """A header that announces 8 EiB."""
    info = member("usr/bin/python3")
    info.size = (1 << 63) - 1
    return raw_layer(folder, info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def endless_name(folder: Path) -> FileLayer:
    """An extended header of 5 GiB: whoever reads it whole has no memory left."""
    info = member("x", tarfile.XHDTYPE)
    info.size = 5 << 30
    return raw_layer(folder, info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


CORPUS: dict[str, tuple[Make, str]] = {
    "parent": (holding((member("../etc/passwd"), b"")), "holds the path"),
    "parent inside": (holding((member("a/../../b"), b"")), "holds the path"),
    "whiteout of the root": (holding((member(".wh.."), b"")), "hides '.'"),
    "whiteout without a name": (holding((member("etc/.wh."), b"")), "hides ''"),
    "path beyond PATH_MAX": (holding((member("a/" * 3000), b"")), "holds the path"),
    "opaque root": (holding((member(".wh..wh..opq"), b"")), "no glibc"),
    "link out": (holding((member("etc", tarfile.SYMTYPE, "/../../etc"), b"")), "no glibc"),
    "links in circles": (
        holding(
            (member("usr", tarfile.SYMTYPE, "bin"), b""),
            (member("bin", tarfile.SYMTYPE, "usr"), b""),
            (member("usr/bin/python3"), b""),
        ),
        "links in circles",
    ),
    "deep beyond recursion": (
        holding((member("a/" * 2000), b""), (member(".wh.a"), b"")),
        "no glibc",
    ),
    "hard link out": (
        holding((member("etc/passwd", tarfile.LNKTYPE, "../../etc/passwd"), b"")),
        "holds the path",
    ),
    "device for an interpreter": (
        holding((member("usr/bin/python3", tarfile.CHRTYPE), b"")),
        "no glibc",
    ),
    "opt that is a link": (holding((member("opt", tarfile.SYMTYPE, "/etc"), b"")), "no folder"),
    "no tar": (of_bytes(gzip.compress(b"not a tar" * 100)), "not a tar file"),
    "unknown compression": (of_bytes(b"\xfd7zXZ\0" + bytes(2000)), "not a tar file"),
    "cut gzip": (of_bytes(gzip.compress(bytes(100_000))[:-20]), "does not decompress"),
    "size beyond the layer": (sparse, "not a tar file"),
    "name without end": (endless_name, "absurd size"),
    "other digest": (promised(digest="sha256:" + "1" * 64), "another digest"),
    "other diff_id": (promised(diff_id="sha256:" + "1" * 64), "its diff_id is not"),
    "other size": (promised(size_bytes=7), "size is not the one promised"),
}


PROVED = {
    "opaque root",
    "link out",
    "links in circles",
    "device for an interpreter",
    "opt that is a link",
    "deep beyond recursion",
}
"""Layers that are what they should be: it is no use to read them again."""


@pytest.mark.parametrize("case", CORPUS)
def test_a_hostile_layer_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one error; of one that was not proved to be what it should be, nothing is kept."""
    make, message = CORPUS[case]
    folder = tmp_path / "layers"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    outlines = Outlines(tmp_path / "outlines")
    with pytest.raises(ImagekitError, match=message):
        probe(outlines.of([make(folder)]), machine="x86_64", search_path=[], python_version=None)
    kept = [*(tmp_path / "outlines").glob("sha256/*")]
    assert not kept or case in PROVED


MEASURE = """
import json, resource, sys
from pathlib import Path
from imagekit.errors import ImagekitError
from imagekit.lock.outlines import Outlines
from imagekit.lock.probe import probe
from imagekit.oci.layer import FileLayer
digest, diff_id, size, path = json.loads(sys.argv[1])
layer = FileLayer(digest, diff_id, size, Path(path))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    outlines = Outlines(Path(path).parent / "outlines")
    probe(outlines.of([layer]), machine="x86_64", search_path=[], python_version=None)
except ImagekitError as error:
    print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10))
"""


def test_a_layer_of_zeros_takes_no_memory(tmp_path: Path) -> None:
    """Half a GiB of them, of which a few hundred kB were sent, in a process of its own."""
    info = member("big")
    info.size = 512 << 20
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as stream:
        stream.write(info.tobuf())
        for _ in range(512):
            stream.write(bytes(1 << 20))
        stream.write(bytes(1024))
    layer = of_bytes(packed.getvalue())(tmp_path)
    words = json.dumps([layer.digest, layer.diff_id, layer.size_bytes, str(layer.path)])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, words],
        env={"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 32 << 20
