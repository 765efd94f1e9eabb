# SPDX-License-Identifier: Apache-2.0
"""The program that becomes the image's: makes namespaces and mounts, enters the root, and execs.

Run by file in an interpreter of its own with one thread, as `unshare` demands, and with nothing
but the standard library. Arguments: the plan (a JSON file, see `launch.Plan`), and two file
descriptors: one to report on, one to wait on. On the first go `U` when the namespaces are there
(the one that started us then writes the maps of IDs, and a byte to the second), and the text of
an error if there is one. It closes when the image's program starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

_NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x08000000  # mount, PID, IPC
_NEW_USER = 0x10000000
_READ_ONLY, _NO_SET_ID, _NO_DEVICES, _NO_EXECUTION = 1, 2, 4, 8
_REMOUNT, _BIND, _MOVE, _RECURSIVE, _PRIVATE = 32, 4096, 8192, 16384, 1 << 18
_KEPT_FLAGS = _NO_SET_ID | _NO_DEVICES | _NO_EXECUTION | 1024 | 2048  # the last: no access times
_SET_DEATH_SIGNAL = 1

_SHARED, _FOR_ALL = 0o1777, 0o666

_DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
_TERMINAL = "tty"
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as stream:
        plan = json.load(stream)
    report, go = int(sys.argv[2]), int(sys.argv[3])
    for descriptor in (report, go):
        os.set_inheritable(descriptor, False)
    try:
        # Else an image's program would outlive us, and keep its terminal.
        _die_with_parent()
        if plan["namespaces"]:
            _isolate(report, go, user=plan["user_namespace"])
        child = os.fork()
        if child == 0:
            _become(plan)
    except OSError as error:
        _fail(report, error)
    os.close(report)
    os._exit(_wait(child, keyboard=plan["keyboard"], group=not plan["namespaces"]))


def _isolate(report: int, go: int, *, user: bool) -> None:
    flags = _NEW_NAMESPACES | (_NEW_USER if user else 0)
    _check(_libc.unshare(flags), "making namespaces")
    os.write(report, b"U")
    if os.read(go, 1) != b"M":
        os._exit(1)


def _become(plan: dict[str, Any]) -> NoReturn:
    """Turn this process into the image's program; the second process of ours, and its PID 1."""
    report = int(sys.argv[2])
    try:
        if plan["namespaces"]:
            _enter_mounted(plan)
        else:
            _enter_bare(plan)
        _drop_to(plan["identity"])
        _die_with_parent()
        with _explained("entering the working directory"):
            os.chdir(plan["workdir"])
        if not plan["arguments"]:
            os._exit(0)
        os.umask(0o022)
        # Python ignores these; programs expect the default.
        for name in ("SIGPIPE", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        with _explained(f"starting {plan['arguments'][0]!r}"):
            os.execvpe(plan["arguments"][0], plan["arguments"], plan["environment"])  # noqa: S606 - what all this is for
    except OSError as error:
        _fail(report, error)
    os._exit(1)


def _enter_mounted(plan: dict[str, Any]) -> None:
    _mount("", "/", "", _RECURSIVE | _PRIVATE)
    sources = {mount["target"]: _handle(mount["source"]) for mount in plan["mounts"]}
    devices = {name: _handle(f"/dev/{name}") for name in (*_DEVICES, _TERMINAL)}
    system = _handle("/sys")
    files = _network_files()
    _mount_root(plan)
    os.chdir(plan["root"])
    _mount_proc()
    # Over the old root, which is out of reach then, even for a second chroot.
    _mount(".", "/", "", _MOVE)
    os.chroot(".")
    os.chdir("/")
    _mount_devices(devices)
    # What a kernel does not allow here programs do without, as they do in many sandboxes.
    with contextlib.suppress(OSError):
        _bind(system, "/sys", read_only=True)
    _prepare(plan, files)
    for mount in plan["mounts"]:
        _bind(sources[mount["target"]], mount["target"], read_only=mount["read_only"])


def _enter_bare(plan: dict[str, Any]) -> None:
    """All that is possible where nothing can be mounted: no /proc, devices if they can be made."""
    os.setsid()
    files = _network_files()
    os.chroot(plan["root"])
    os.chdir("/")
    os.makedirs("dev/shm", exist_ok=True)
    os.chmod("dev/shm", _SHARED)
    for name, minor in (*_DEVICES.items(), (_TERMINAL, 0)):
        major = 5 if name == _TERMINAL else 1
        with contextlib.suppress(OSError):
            os.mknod(f"/dev/{name}", stat.S_IFCHR, os.makedev(major, minor))
            os.chmod(f"/dev/{name}", _FOR_ALL)
    _prepare(plan, files)


def _mount_root(plan: dict[str, Any]) -> None:
    overlay = plan["overlay"]
    if overlay is None:
        _mount(plan["root"], plan["root"], "", _BIND | _RECURSIVE)
        return
    # By descriptor: a path may hold the commas and colons that separate the options.
    handles = {name: _handle(path) for name, path in overlay.items()}
    options = [f"{name}=/proc/self/fd/{handle}" for name, handle in handles.items()]
    if plan["user_namespace"]:
        options.append("userxattr")
    options += plan["overlay_options"]
    _mount("overlay", plan["root"], "overlay", 0, ",".join(options))


def _mount_proc() -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir("proc")
    if not stat.S_ISDIR(os.lstat("proc").st_mode):
        raise OSError(0, "the image's /proc is no folder")
    try:
        _mount("proc", "proc", "proc", _NO_SET_ID | _NO_DEVICES | _NO_EXECUTION)
    except OSError:
        # Where parts of /proc are hidden from us, a new one is refused.
        _mount("/proc", "proc", "", _BIND | _RECURSIVE)


def _mount_devices(devices: dict[str, int]) -> None:
    os.makedirs("/dev", exist_ok=True)
    _mount("tmpfs", "/dev", "tmpfs", _NO_SET_ID, "mode=755,size=64k,nr_inodes=1k")
    for name, handle in devices.items():
        with open(f"/dev/{name}", "xb"):
            pass
        _mount(f"/proc/self/fd/{handle}", f"/dev/{name}", "", _BIND)
    os.mkdir("/dev/pts")
    terminals = "newinstance,ptmxmode=0666,mode=0620"
    _mount("devpts", "/dev/pts", "devpts", _NO_SET_ID | _NO_EXECUTION, terminals)
    os.symlink("pts/ptmx", "/dev/ptmx")
    os.mkdir("dev/shm")
    _mount("tmpfs", "dev/shm", "tmpfs", _NO_SET_ID | _NO_DEVICES, "mode=1777")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"/dev/{name}")


def _prepare(plan: dict[str, Any], files: dict[str, bytes]) -> None:
    """Files and folders that every program may expect; we stand in the image's root already."""
    if not os.path.isdir("tmp"):
        os.mkdir("tmp")
        os.chmod("tmp", _SHARED)
    os.makedirs("/etc", exist_ok=True)
    for path, content in files.items():
        # A link may lead to a folder that is not there, as systemd's does.
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "wb") as stream:
            stream.write(content)
        os.chmod(path, 0o644)
    with _explained("making the working directory"):
        os.makedirs(plan["workdir"], exist_ok=True)


def _network_files() -> dict[str, bytes]:
    found = {}
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
            found[path] = stream.read()
    return found


def _bind(handle: int, target: str, *, read_only: bool) -> None:
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "ab"):
            pass
    _mount(f"/proc/self/fd/{handle}", target, "", _BIND | _RECURSIVE)
    if read_only:
        # What the mount already forbids may not be allowed again.
        kept = os.statvfs(target).f_flag & _KEPT_FLAGS
        _mount("", target, "", _REMOUNT | _BIND | _READ_ONLY | kept)


def _drop_to(identity: dict[str, Any] | None) -> None:
    """None where the map of IDs has us as the right user already."""
    if identity is not None:
        with _explained(f"becoming user {identity['uid']}"):
            os.setgroups(identity["groups"])
            os.setgid(identity["gid"])
            os.setuid(identity["uid"])


def _wait(child: int, *, keyboard: bool, group: bool) -> int:
    for name in _FORWARDED:
        number = getattr(signal, name)
        if keyboard or name not in ("SIGINT", "SIGQUIT"):
            signal.signal(number, lambda number, _: os.kill(child, number))
        else:
            signal.signal(number, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    if group:
        # What it left behind; a PID namespace does that by itself.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _handle(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    result = _libc.mount(
        os.fsencode(source) or None,
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mounting {kind or source or 'read-only'} at {target}")


def _die_with_parent() -> None:
    _check(_libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "asking to be ended")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{what}: {error.strerror}") from error


def _fail(report: int, error: OSError) -> NoReturn:
    name = "" if error.filename is None else f": {error.filename!r}"
    os.write(report, f"{error.errno} {error.strerror}{name}".encode())
    os._exit(1)


if __name__ == "__main__":
    main()
