# SPDX-License-Identifier: Apache-2.0
"""What a base image has to offer, found in its layers without running anything of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from imagekit.debian.sources import APT_SOURCES
from imagekit.errors import LockError
from imagekit.lock.distributions import distributions
from imagekit.lock.facts import without_facts
from imagekit.lock.interpreter import LayeredFiles, interpreter_identity
from imagekit.lock.outline import Entry
from imagekit.lock.tree import Tree
from imagekit.values import frozen

_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_LIBPYTHON = re.compile(r"(?:.*/)?libpython3\.\d+\.so\.1\.0")
_GLIBC = re.compile(r"(?:usr/)?lib(?:64)?/(?:[^/]+/)?libc(?:-2\.\d+\.so|\.so\.6)")
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[^/]+\.so\.1")
_KEYS = re.compile(
    r"usr/share/keyrings/ubuntu-archive-keyring\.(?:gpg|pgp)|etc/apt/trusted\.gpg\.d/[^/]+\.(?:gpg|asc)"
)
_SOURCES = re.compile(APT_SOURCES)


@frozen
class BaseFacts:
    """What a base has; four are files as they are, empty when absent.

    `interpreter` is its identity (`interpreter.py`), None where that is unknown. `dpkg_status` says
    what dpkg has installed, `dpkg_triggers` which paths packages wait for. `distributions` are
    Python's, versions by name. `apt_keys` are the certificates that its apt believes, `apt_sources`
    its sources by path.
    """

    python_version: str
    python_path: str
    interpreter: str | None
    glibc: str
    os_release: Mapping[str, str]
    passwd: str
    group: str
    dpkg_status: str
    dpkg_triggers: str
    distributions: Mapping[str, str] = field(default_factory=dict)
    apt_keys: tuple[bytes, ...] = ()
    apt_sources: Mapping[str, str] = field(default_factory=dict)


def probe(
    outlines: Iterable[Iterable[Entry]],
    *,
    machine: str,
    search_path: Sequence[str],
    python_version: str | None,
    python_path: str | None = None,
) -> BaseFacts:
    """Look through the layers of a base once.

    Args:
        outlines: of its layers, base first.
        machine: what it is for, as wheels call it.
        search_path: folders of the image's own PATH; empty takes the usual ones.
        python_version: the `X.Y` that is wanted; None takes the base's `python3`.
        python_path: the interpreter that is meant; None looks for one.

    Raises:
        LockError: the base can't carry a task image, and why.
        IntegrityError: a layer is damaged or hostile.
    """
    tree = Tree(outlines)
    _check_prefix(tree)
    glibc = _glibc(tree)
    folders = search_path or _PATH
    if python_path is not None:
        folders = [python_path.rpartition("/")[0]]
    program = None if python_path is None else python_path.rpartition("/")[2]
    path, version = _interpreter(tree, folders, python_version, program)
    return BaseFacts(
        python_version=version,
        python_path="/" + path,
        interpreter=interpreter_identity(LayeredFiles(tree), f"/{path}", machine),
        glibc=glibc,
        os_release=_os_release(tree),
        passwd=_kept(tree, "etc/passwd"),
        group=_kept(tree, "etc/group"),
        dpkg_status=_kept(tree, "var/lib/dpkg/status"),
        dpkg_triggers=_kept(tree, "var/lib/dpkg/triggers/File"),
        distributions=distributions(tree.nodes(), version),
        apt_keys=tuple(text.encode("latin-1") for text in _all(tree, _KEYS).values()),
        apt_sources=_all(tree, _SOURCES),
    )


def _check_prefix(tree: Tree) -> None:
    opt = tree.lookup("opt")
    if opt is not None and opt.kind != "directory":
        raise LockError("the base's /opt is no folder, and packages go to /opt/venv")
    if tree.lookup("opt/venv") is not None:
        raise LockError(
            "the base already has /opt/venv, where the packages of the image go",
            hint="take the image that this one was built on",
        )


def _glibc(tree: Tree) -> str:
    kept = (text for _, node in tree.matching(_GLIBC) for text in node.kept)
    found = set(filter(None, map(without_facts, kept)))
    if len(found) == 1:
        return found.pop()
    if found:
        raise LockError(f"the base has several glibc versions: {', '.join(sorted(found))}")
    if any(tree.matching(_MUSL)):
        raise LockError(
            "the base has musl, and wheels for it are not supported yet",
            hint="take a base with glibc, such as Debian's",
        )
    raise LockError("the base has no glibc, which Python wheels need")


def _interpreter(
    tree: Tree, search_path: Sequence[str], python_version: str | None, program: str | None
) -> tuple[str, str]:
    seen = []
    for path in _programs(tree, search_path, python_version, program):
        version = _python_version(tree, path)
        if version is None:
            seen.append(f"/{path} (version unknown)")
        elif python_version is None or version.split(".")[:2] == python_version.split("."):
            return path, version
        else:
            seen.append(f"/{path} ({version})")
    wanted = "Python 3" if python_version is None else f"Python {python_version}"
    if program is not None and not seen:
        raise LockError(f"python_exec: the base has no {search_path[0]}/{program}")
    if seen:
        raise LockError(
            f"the base has no {wanted}, only {', '.join(dict.fromkeys(seen))}",
            hint="set python_version to what the base has",
        )
    raise LockError(f"the base has no {wanted} in {', '.join(search_path)}")


def _programs(
    tree: Tree, search_path: Sequence[str], python_version: str | None, program: str | None
) -> Iterator[str]:
    """Real paths of the interpreters, in the order in which the image itself would find them."""
    names = ["python3"] if python_version is None else [f"python{python_version}", "python3"]
    names = names if program is None else [program]
    for name in names:
        for folder in search_path:
            found = tree.find(f"{folder}/{name}")
            if found is not None and found[1].kind == "file":
                yield found[0]


def _python_version(tree: Tree, path: str) -> str | None:
    minor = path.rpartition("python")[2]
    program = tree.lookup(path)
    # A small program whose library holds the interpreter, as in builds with --enable-shared.
    name = f"libpython{minor}.so.1.0"
    libraries = [node for each, node in tree.matching(_LIBPYTHON) if each.endswith(name)]
    for node in [program, *libraries]:
        found = [] if node is None else without_facts("".join(node.kept)).split()
        fitting = [version for version in found if version.startswith(f"{minor}.")]
        if len(fitting) == 1:
            return fitting[0]
    return None


def _os_release(tree: Tree) -> dict[str, str]:
    """See os-release(5); only what says which system it is."""
    text = _kept(tree, "etc/os-release") or _kept(tree, "usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines())
    wanted = ("ID", "VERSION_ID", "VERSION_CODENAME")
    return {key: value.strip("\"'") for key, _, value in pairs if key in wanted}


def _kept(tree: Tree, path: str) -> str:
    found = tree.find(path)
    if found is None:
        return ""
    node = found[1]
    if node.kind == "file" and not node.kept:
        raise LockError(f"the base's /{path} is a link to a file of another name")
    return "".join(node.kept)


def _all(tree: Tree, pattern: re.Pattern[str]) -> dict[str, str]:
    """By path what is kept of files, in the order of the paths."""
    return {path: "".join(node.kept) for path, node in sorted(tree.matching(pattern))}
