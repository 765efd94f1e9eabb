# SPDX-License-Identifier: Apache-2.0
"""The interpreter that runs the tests plays the base's: its root is this machine's."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagekit.errors import BuildError
from imagekit.layers.bytecode import BytecodeCompiler, inside
from imagekit.layers.host import host_can_run

PYTHON = os.path.realpath(sys.executable)
SOURCES = [
    ("opt/a.py", b"x = {'a', 'b', 'c', None, (1, 2)}\ndef f(y: int = 3) -> int:\n    return y\n"),
    ("opt/b.py", b"import os\nassert x in {1, 2, None, 'q'}\n"),
]

pytestmark = pytest.mark.skipif(
    not (host_can_run("amd64") or host_can_run("arm64")), reason="bytecode is made on Linux"
)


def compiled(sources: list[tuple[str, bytes]]) -> dict[str, bytes | None]:
    with BytecodeCompiler(Path("/"), PYTHON) as compiler:
        return dict(compiler.compile(sources))


def test_bytecode_is_hash_based_and_unchecked() -> None:
    """The .pyc says PEP 552's unchecked hash, names the image's path, and is the source's code."""
    path, source = SOURCES[0]
    [(name, pyc)] = compiled([(path, source)]).items()

    assert name == f"opt/__pycache__/a.{sys.implementation.cache_tag}.pyc"
    assert pyc is not None
    assert pyc[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(pyc[4:8], "little") == 1
    assert pyc[8:16] == importlib.util.source_hash(source)
    assert marshal.loads(pyc[16:]).co_filename == "/opt/a.py"


def test_bytes_do_not_depend_on_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, hash seed and what was compiled before leave no trace."""
    first = compiled(SOURCES)
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    with BytecodeCompiler(Path("/"), PYTHON) as compiler:
        list(compiler.compile([("other.py", b"import re, json\n" * 50)]))
        second = dict(compiler.compile(SOURCES))

    assert first == second


def test_a_source_that_does_not_compile_is_reported_as_such() -> None:
    """As installers do, what is no valid Python is left without bytecode; the rest goes on."""
    bad = [("a.py", b"def"), ("b.py", b"\0"), ("c.py", b"\xff\xfe"), ("d.py", b"x = 1")]
    results = [pyc is not None for pyc in compiled(bad).values()]

    assert results == [False, False, False, True]


def test_many_files_come_back_in_order() -> None:
    """Batches run in parallel, and their results come in the order of the sources."""
    sources = [(f"m{number}.py", b"x = %d\n" % number) for number in range(300)]
    with BytecodeCompiler(Path("/"), PYTHON) as compiler:
        names = [name for name, _ in compiler.compile(sources)]

    assert names == [f"__pycache__/m{n}.{sys.implementation.cache_tag}.pyc" for n in range(300)]


def test_an_interpreter_that_does_not_start_is_a_clear_error(tmp_path: Path) -> None:
    """The message names the interpreter, and the hint the way to do without."""
    with pytest.raises(BuildError, match="starting the base's /nowhere/python") as caught:
        BytecodeCompiler(tmp_path, "/nowhere/python").__enter__()

    assert "compile_bytecode" in (caught.value.hint or "")


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    """Absolute and relative links lead where a process in the base would be led."""
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("/usr/lib")
    (tmp_path / "usr/up").symlink_to("../../../usr/lib")

    assert inside(tmp_path, "/lib/x") == tmp_path / "usr/lib/x"
    assert inside(tmp_path, "usr/up/x") == tmp_path / "usr/lib/x"


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    """A hostile base can't hold the build up."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(BuildError, match="too many symbolic links"):
        inside(tmp_path, "a")


def test_compilers_of_several_images_share_the_processors() -> None:
    """However many images are built at once, no more batches are compiled than there are cores.

    Counting takes a moment in which one may end and another begin: four times as many is what the
    four compilers would take alone.
    """
    cores = os.cpu_count() or 1
    source = b"def f(a):\n    return [a + 1, {a: a, 'x': (a, a)}]\n" * 1000
    batches = [
        [(f"opt/{n}.py", source), *[(f"opt/{n}/{i}.py", b"") for i in range(255)]]
        for n in range(cores)
    ]
    sources = [each for batch in batches for each in batch]
    with contextlib.ExitStack() as stack:
        compilers = [stack.enter_context(BytecodeCompiler(Path("/"), PYTHON)) for _ in range(4)]
        pool = stack.enter_context(ThreadPoolExecutor(len(compilers)))
        compiling = [pool.submit(_compiled_by, each, sources) for each in compilers]
        most = 0
        while not all(each.done() for each in compiling):
            most = max(most, _grandchildren())

    assert all(each.result() == compiling[0].result() for each in compiling)
    assert 1 <= most <= 2 * cores


def _compiled_by(
    compiler: BytecodeCompiler, sources: list[tuple[str, bytes]]
) -> dict[str, bytes | None]:
    return dict(compiler.compile(sources))


def _grandchildren() -> int:
    """How many processes the servers have forked, which run now."""
    found = 0
    for server in _children(os.getpid()):
        found += sum(_runs(child) for child in _children(server))
    return found


def _children(process: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def _runs(process: int) -> bool:
    """One that has ended, and is not gone yet, doesn't count."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
