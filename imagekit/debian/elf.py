# SPDX-License-Identifier: Apache-2.0
"""As much of ELF (System V gABI) as tells which shared library a file is."""

from __future__ import annotations

import struct

from imagekit.values import frozen

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_STRTAB, _DT_SONAME = 0, 5, 14
_ET_DYN = 3
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")


@frozen
class SharedObject:
    """`machine` is e_machine; `soname` is empty where the file gives none."""

    machine: int
    soname: str


def read_shared_object(data: bytes) -> SharedObject | None:
    """None where `data` is no 64-bit little-endian shared object, or is a damaged one."""
    try:
        return _read(data)
    except (struct.error, ValueError):
        return None


def _read(data: bytes) -> SharedObject | None:
    identity, kind, machine, _, _, segments_at, *rest = _HEADER.unpack_from(data)
    _, _, _, entry_bytes, count, *_ = rest
    if identity[:6] != b"\x7fELF\x02\x01" or kind != _ET_DYN:
        return None
    segments = [_SEGMENT.unpack_from(data, segments_at + n * entry_bytes) for n in range(count)]
    for segment_kind, _, offset, _, _, size_bytes, _, _ in segments:
        if segment_kind == _PT_DYNAMIC:
            entries = dict(_dynamic(data, offset, size_bytes))
            break
    else:
        return None
    if _DT_SONAME not in entries:
        return SharedObject(machine, "")
    for segment_kind, _, offset, address, _, size_bytes, _, _ in segments:
        if segment_kind == _PT_LOAD and address <= entries[_DT_STRTAB] < address + size_bytes:
            start = entries[_DT_STRTAB] - address + offset + entries[_DT_SONAME]
            return SharedObject(machine, data[start : data.index(b"\0", start)].decode("latin-1"))
    return None


def _dynamic(data: bytes, offset: int, size_bytes: int) -> list[tuple[int, int]]:
    entries = []
    for place in range(offset, offset + size_bytes, _DYNAMIC.size):
        tag, value = _DYNAMIC.unpack_from(data, place)
        if tag == _DT_NULL:
            break
        entries.append((tag, value))
    return entries
