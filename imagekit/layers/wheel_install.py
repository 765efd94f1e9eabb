# SPDX-License-Identifier: Apache-2.0
"""Where each file of a wheel goes when it is installed, and what the installer adds.

The result is what `uv pip install` leaves (PyPA, "Binary distribution format", "Recording
installed projects"), but for the exceptions that docs/reference/layers.md lists.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from imagekit.errors import IntegrityError
from imagekit.layers import record
from imagekit.layers.conflicts import parents
from imagekit.layers.launchers import launchers, with_python
from imagekit.layers.venv import PREFIX, Venv
from imagekit.layers.wheel_archive import Member, WheelArchive
from imagekit.values import frozen

INSTALLER = b"imagekit\n"
_SIGNATURES = ("RECORD", "RECORD.jws", "RECORD.p7s")


@frozen
class Copied:
    """A file taken from the wheel as it is; `expected` is its RECORD hash, or empty."""

    path: str
    member: Member
    mode: int
    expected: str


@frozen
class Made:
    """A file whose bytes the installer makes."""

    path: str
    data: bytes
    mode: int = 0o644


@frozen
class Installation:
    """All files of one distribution, by path."""

    files: tuple[Copied | Made, ...]


def plan(archive: WheelArchive, venv: Venv) -> Installation:
    """Decide every file's place.

    Raises IntegrityError where the wheel's parts disagree or would leave the prefix.
    """
    source = archive.filename
    listed = record.parse(_required(archive, "RECORD"), source)
    _check_version(_required(archive, "WHEEL"), source)
    archive.refuse_other_metadata()
    _refuse_missing(archive, listed)
    files: list[Copied | Made] = []
    rows: list[record.Row] = []
    for member in archive.members:
        if _own(archive, member):
            continue
        expected = listed.get(member.name)
        if expected is None:
            raise IntegrityError(f"{source}: {member.name} is not in its RECORD")
        if expected.size not in ("", str(member.size_bytes)):
            raise IntegrityError(f"{source}: {member.name} is not of the size in its RECORD")
        file = _place(archive, member, venv, expected.hash)
        files.append(file)
        rows.append(_row(file, expected, venv))
    for file in _additions(archive, venv):
        files.append(file)
        rows.append(record.row(_relative(file.path, venv), file.data))
    record_path = f"{archive.dist_info}/RECORD"
    rows.append(record.Row(record_path))
    files.append(Made(f"{venv.site_packages}/{record_path}", record.write(rows)))
    _refuse_clashes(files, venv, source)
    return Installation(tuple(sorted(files, key=lambda file: file.path)))


def _refuse_missing(archive: WheelArchive, listed: Mapping[str, record.Row]) -> None:
    """Raise IntegrityError where RECORD has a file that the wheel has not."""
    own = {f"{archive.dist_info}/{name}" for name in (*_SIGNATURES, "INSTALLER", "REQUESTED")}
    missing = listed.keys() - own - {member.name for member in archive.members}
    for name in sorted(missing):
        if not name.endswith("/"):  # some tools list folders
            raise IntegrityError(f"{archive.filename}: its RECORD has {name[:200]!r}, it has not")


def _required(archive: WheelArchive, name: str) -> bytes:
    data = archive.metadata(name)
    if data is None:
        raise IntegrityError(f"{archive.filename}: no {archive.dist_info}/{name}")
    return data


def _check_version(wheel: bytes, source: str) -> None:
    for line in wheel.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == "wheel-version" and value.strip().partition(".")[0] == "1":
            return
    raise IntegrityError(f"{source}: not of wheel version 1")


def _own(archive: WheelArchive, member: Member) -> bool:
    """Whether the installer writes this file itself, or drops it as no longer true."""
    folder, _, name = member.name.rpartition("/")
    return folder == archive.dist_info and name in (*_SIGNATURES, "INSTALLER", "REQUESTED")


def _place(archive: WheelArchive, member: Member, venv: Venv, expected: str) -> Copied | Made:
    mode = 0o755 if member.executable else 0o644
    data_folder = archive.dist_info.removesuffix(".dist-info") + ".data/"
    if not member.name.startswith(data_folder):
        return Copied(f"{venv.site_packages}/{member.name}", member, mode, expected)
    scheme, _, rest = member.name.removeprefix(data_folder).partition("/")
    folders = {
        "purelib": venv.site_packages,
        "platlib": venv.site_packages,
        "headers": f"{PREFIX}/include/site/python{venv.minor}/{archive.name}",
        "scripts": f"{PREFIX}/bin",
        "data": PREFIX,
    }
    if scheme not in folders or not rest:
        raise IntegrityError(f"{archive.filename}: {member.name}: no such place to install to")
    path = f"{folders[scheme]}/{rest}"
    if scheme != "scripts":
        return Copied(path, member, mode, expected)
    return _script(archive, Copied(path, member, 0o755, expected), venv)


def _script(archive: WheelArchive, file: Copied, venv: Venv) -> Copied | Made:
    """Scripts in Python start the venv's interpreter; programs are copied, however large."""
    first = next(iter(archive.raw(file.member)), b"")
    if file.member.deflated or first.startswith(b"#!python"):
        if file.member.size_bytes > 1 << 20:
            return file
        data = archive.read(file.member)
        if data.startswith(b"#!python"):
            return Made(file.path, with_python(data, venv.executable), file.mode)
    return file


def _additions(archive: WheelArchive, venv: Venv) -> list[Made]:
    added = [Made(f"{venv.site_packages}/{archive.dist_info}/INSTALLER", INSTALLER)]
    entry_points = archive.metadata("entry_points.txt")
    if entry_points is not None:
        found = launchers(entry_points, venv.executable, archive.filename)
        if archive.name == "pip" and "pip" in found:  # as pip and uv have always done
            found[f"pip{venv.minor}"] = found["pip"]
        added += [Made(f"{PREFIX}/bin/{name}", text, 0o755) for name, text in found.items()]
    return added


def _row(file: Copied | Made, listed: record.Row, venv: Venv) -> record.Row:
    path = _relative(file.path, venv)
    if isinstance(file, Made):
        return record.row(path, file.data)
    return record.Row(path, listed.hash, listed.size)


def _relative(path: str, venv: Venv) -> str:
    below = f"{venv.site_packages}/"
    if path.startswith(below):
        return path[len(below) :]
    return posixpath.relpath(path, venv.site_packages)


def _refuse_clashes(files: list[Copied | Made], venv: Venv, source: str) -> None:
    paths = [file.path for file in files]
    taken = set(paths)
    if len(taken) != len(paths):
        twice = sorted(path for path in taken if paths.count(path) > 1)
        raise IntegrityError(f"{source}: writes {twice[0]} twice")
    folders = parents(paths)
    for path in sorted(taken & (folders | venv.reserved)):
        raise IntegrityError(f"{source}: {path} can't be a file of a wheel")
    for path in sorted(folders & venv.reserved):
        raise IntegrityError(f"{source}: {path} belongs to the environment")
