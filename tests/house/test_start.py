# SPDX-License-Identifier: Apache-2.0
"""What is loaded, counted in modules: the price of each start that no clock has to measure.

Everything runs in a venv that holds the runtime wheel and nothing else: as in an image, and alone.
"""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from entrypoint.contract import execute_arguments
from entrypoint.wire.protobuf import encode
from imagekit.builders.runtime import runtime_wheel
from sidecars.steps import RUNTIME
from tests.fakes.fake_model_server import Script, serving
from tests.golden.compare import check_golden
from tests.house.project import ROOT

LOADED = Path(__file__).parent / "loaded"
TASK_MODULES = ROOT / "tests/unit/entrypoint/modules.txt"
STATEMENTS = {
    "import": "import imagekit",
    "task": "from imagekit import task",
    "image_spec": "from imagekit import ImageSpec",
    "file": "from imagekit import File",
}
SAY = "sys.stderr.write(' '.join(set(sys.modules) - bare))"
TASK = """
import atexit, os, sys
def add(x: int) -> int:
    atexit.register(lambda: os.write(2, "\\n".join(sys.modules).encode()))
    return x + 1
"""


@dataclass(frozen=True)
class Installed:
    """A venv, and the folder that holds the runtime wheel's members and nothing else."""

    python: str
    site: Path

    def run(self, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return run(self.python, "-I", *words, cwd=cwd)

    def loaded(self, code: str) -> set[str]:
        """The modules that `code` adds to those of a bare interpreter."""
        program = f"import sys; bare = set(sys.modules)\n{code}\n{SAY}"
        return set(self.run("-c", program).stderr.split())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        wheel = runtime_wheel.__wrapped__().file.path
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return Installed(str(folder / "venv" / "bin" / "python"), site)


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=cwd, env={}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done


def is_ours(module: str) -> bool:
    return module.startswith(("imagekit", "_imagekit_entrypoint"))


def lines(modules: Iterable[str]) -> str:
    return "".join(f"{module}\n" for module in modules)


def test_the_runtime_wheel_is_importable_alone(installed: Installed) -> None:
    """Each of its modules, in an interpreter that finds nothing but it and the standard library."""
    modules = [
        ".".join(path.relative_to(installed.site).with_suffix("").parts).removesuffix(".__init__")
        for path in installed.site.rglob("*.py")
    ]
    assert {"imagekit", "imagekit.spec.model", "entrypoint.run"} < set(modules)
    code = "\n".join(f"__import__({module!r})" for module in sorted(modules))
    found = installed.loaded(code)
    assert set(modules) <= found
    packages = {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names)
    assert packages == {"entrypoint", "imagekit", "sidecars"}


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_task_code_imports_loads_the_listed_modules(installed: Installed, name: str) -> None:
    """Of ours; the standard library's own vary with its version."""
    found = installed.loaded(STATEMENTS[name])
    check_golden(LOADED / f"{name}.txt", lines(sorted(filter(is_ours, found))))


@pytest.mark.parametrize("name", ["import", "task"])
def test_what_every_task_imports_loads_nothing_else(installed: Installed, name: str) -> None:
    """Nothing of the standard library but what the interpreter has loaded anyway."""
    found = installed.loaded(STATEMENTS[name])
    assert {module for module in found if not is_ours(module)} == {"__future__"}


def test_an_int_task_loads_the_listed_modules(installed: Installed, tmp_path: Path) -> None:
    """All of a task start, from the command line to the last of its outputs."""
    (tmp_path / "watch.py").write_text(TASK)
    literal = {"scalar": {"primitive": {"integer": 1}}}
    (tmp_path / "inputs.pb").write_bytes(encode("LiteralMap", {"literals": {"x": literal}}))
    main = str(installed.site / "entrypoint" / "__main__.py")
    where = {"inputs": "inputs.pb", "output_prefix": str(tmp_path / "out")}
    words = execute_arguments(("task-module", "watch", "task-name", "add"), **where)
    done = installed.run(main, *words, cwd=tmp_path)
    assert (tmp_path / "out" / "outputs.pb").exists()
    bare = installed.run("-c", "import sys; print(*sys.modules)").stdout.split()
    found = set(done.stderr.split()) - {*bare, "atexit", "watch"}
    check_golden(TASK_MODULES, lines(sorted(found)))


def test_the_gate_of_a_sidecar_runs_from_the_wheel(installed: Installed) -> None:
    """With the words that pods call it by, and from any folder."""
    with serving(Script()) as script:
        values = {
            "SIDECAR_S_URL": script.url,
            "SIDECAR_S_MODEL": script.model,
            "SIDECAR_S_KIND": "vllm",
        }
        command = [installed.python, *RUNTIME[1:], "wait", "--deadline", "60"]
        done = subprocess.run(command, env=values, cwd="/", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_loads_click_and_nothing_else_that_is_not_ours() -> None:
    """`imagekit --help` needs no network, no terminal colours, no YAML, no compressor."""
    program = (
        f"import sys; bare = set(sys.modules); sys.path.insert(0, {str(ROOT)!r})\n"
        f"from imagekit.cli.main import main\ncode = main(['--help'])\n{SAY}\n"
        "raise SystemExit(code)"
    )
    found = set(run(sys.executable, "-I", "-c", program).stderr.split())
    packages = {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names)
    assert packages == {"click", "imagekit"}
    assert {"http", "ssl", "rich", "yaml", "isal", "deflate", "pysequoia"}.isdisjoint(found)
    check_golden(LOADED / "help.txt", lines(sorted(filter(is_ours, found))))
