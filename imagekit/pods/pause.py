# SPDX-License-Identifier: Apache-2.0
"""The image of the container that holds a pod together: one program of about 200 bytes.

A pod's network, shared memory and volumes have to outlive each of its containers, so one that does
nothing keeps them. Kubernetes pulls such an image; here no registry is asked. The program ignores
SIGCHLD, by which the kernel reaps the orphans that a shared process namespace gives it, and waits.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from imagekit.errors import EngineError
from imagekit.layers.writer import LayerWriter
from imagekit.oci.assemble import Addition, Settings, assemble
from imagekit.oci.descriptor import Platform
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer

PROGRAM = "pause"
PAUSE = "localhost/imagekit/pause:1"
"""What a pod calls this image, as that of a container that does nothing."""
_BASE = 0x400000
_HEADERS = 64 + 56
_IGNORE = struct.pack("<QQQQ", 1, 0, 0, 0)  # struct sigaction of the kernel: SIG_IGN, no flags

# rt_sigaction(SIGCHLD, &ignore, NULL, 8), then pause() or ppoll(NULL, 0, NULL, NULL) for ever.
_AMD64 = bytes.fromhex(
    "b80d000000"  # mov eax, 13
    "bf11000000"  # mov edi, 17
    "488d3517000000"  # lea rsi, [rip + 0x17]
    "31d2"  # xor edx, edx
    "41ba08000000"  # mov r10d, 8
    "0f05"  # syscall
    "b822000000"  # mov eax, 34
    "0f05"  # syscall
    "ebf7"  # jmp to the mov before
    "00000000"  # the structure begins at a multiple of 8
)
_ARM64 = struct.pack(
    "<16I",
    0xD28010C8,  # mov x8, 134
    0xD2800220,  # mov x0, 17
    0x100001C1,  # adr x1, . + 56
    0xD2800002,  # mov x2, 0
    0xD2800103,  # mov x3, 8
    0xD4000001,  # svc 0
    0xD2800928,  # mov x8, 73
    0xD2800000,  # mov x0, 0
    0xD2800001,  # mov x1, 0
    0xD2800002,  # mov x2, 0
    0xD2800003,  # mov x3, 0
    0xD2800004,  # mov x4, 0
    0xD4000001,  # svc 0
    0x17FFFFF9,  # b back to the mov of x8
    0xD503201F,  # nop
    0xD503201F,  # nop
)
_MACHINES: Mapping[str, tuple[int, bytes]] = {"amd64": (62, _AMD64), "arm64": (183, _ARM64)}


def program(architecture: str) -> bytes:
    """An ELF executable that waits; `architecture` as in image configs."""
    if architecture not in _MACHINES:
        raise EngineError(f"pods can't be run on {architecture}: amd64 or arm64")
    machine, code = _MACHINES[architecture]
    size = _HEADERS + len(code) + len(_IGNORE)
    start = _BASE + _HEADERS
    head = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0, 0),
        *(2, machine, 1, start, 64, 0, 0, 64, 56, 1, 64, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return head + segment + code + _IGNORE


def pause_image(architecture: str, folder: Path) -> Image:
    """The image; `folder` keeps its layer while it is used."""
    path = folder / "pause-layer"
    with path.open("wb") as sink:
        writer = LayerWriter(sink)
        writer.file(PROGRAM, program(architecture), mode=0o755)
        written = writer.finish()
    layer = FileLayer(written.digest, written.diff_id, written.size_bytes, path)
    settings = Settings(entrypoint=[f"/{PROGRAM}"], workdir="/")
    platform = Platform(architecture=architecture)
    return assemble(None, [Addition(layer, "pause")], settings, platform=platform)
