# SPDX-License-Identifier: Apache-2.0
"""envd as a program: missing, old, silent, loud, failing, interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit.builders.envd_output import Output
from imagekit.builders.envd_program import Envd, find_envd
from imagekit.buildkit.endpoint import Certificates, Endpoint
from imagekit.buildkit.status import Event, StepEnded, StepOutput, StepStarted
from imagekit.errors import BuildError
from tests.fakes.fake_envd import fake_envd

PLAIN = b"""\
#1 docker-image://base
#1 DONE 0.1s
#2 copy /layers/1/opt /
#2 CACHED

#3 bash -c set -euo pipefail
echo one
#3 0.384 one
#3 ...
#4 local://context
#4 transferring context: 713B 0.0s done
#4 DONE 0.2s
#3 bash -c set -euo pipefail
#3 1.002 #5 is no step
#3 ERROR: executor failed running
------
"""


class Events(list[Event]):
    hear = list.append


def opened(
    program: str, folder: Path, engine: Endpoint | None = None, answer_seconds: float = 60.0
) -> Envd:
    home = folder / "home"
    home.mkdir()
    environ = {"PATH": "/usr/bin:/bin", "TOKEN": "canary"}
    return Envd.open(program, home, environ, engine, answer_seconds=answer_seconds)


def heard(text: bytes) -> Events:
    events = Events()
    output = Output(events)
    for line in text.splitlines(keepends=True):
        output.hear(line)
    output.close()
    return events


def test_what_it_prints_becomes_steps() -> None:
    """Names, output, times, what is cached and what failed, also when steps take turns."""
    events = heard(PLAIN)
    names = {e.number: e.name for e in events if isinstance(e, StepStarted)}
    assert names == {
        0: "envd",
        1: "docker-image://base",
        2: "copy /layers/1/opt /",
        3: "echo one",
        4: "local://context",
    }
    ended = {e.number: e for e in events if isinstance(e, StepEnded)}
    assert (ended[1].seconds, ended[1].cached, ended[2].cached) == (0.1, False, True)
    assert ended[3].error == "executor failed running"
    printed = [e.text for e in events if isinstance(e, StepOutput) and e.number == 3]
    assert printed == [b"one\n", b"#5 is no step\n"]
    assert [e.text for e in events if isinstance(e, StepOutput) and e.number == 0] == [b"------\n"]


def test_a_program_that_is_missing_is_said(tmp_path: Path) -> None:
    """With how to get it."""
    path = str(Path(sys.executable).parent / "envd")
    if Path(path).exists():
        assert find_envd({"PATH": str(tmp_path)}) == path
        return
    with pytest.raises(BuildError, match="no program envd") as raised:
        find_envd({"PATH": str(tmp_path)})
    assert "pip install envd" in str(raised.value.hint)


def test_the_one_on_path_comes_first(tmp_path: Path) -> None:
    """As the user's shell would find it."""
    program = fake_envd(tmp_path)
    assert find_envd({"PATH": str(Path(program).parent)}) == program


def test_an_old_one_is_refused_by_its_version(tmp_path: Path) -> None:
    """Before anything is built."""
    program = fake_envd(tmp_path, version="print('envd: v0.2.5-alpha')")
    with pytest.raises(BuildError, match=r"is envd v0\.2\.5, and 1\.0 or later is needed"):
        opened(program, tmp_path)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("print('hello')", "does not say its version: 'hello'"),
        ("sys.exit('broken')", "version --short failed: broken"),
        ("time.sleep(60)", "does not answer: version --short"),
    ],
)
def test_one_that_is_something_else_is_said(tmp_path: Path, version: str, message: str) -> None:
    """In one line."""
    with pytest.raises(BuildError, match=message):
        opened(fake_envd(tmp_path, version=version), tmp_path, answer_seconds=1.0)


def test_one_that_can_not_be_started_is_said(tmp_path: Path) -> None:
    """As when it is for another machine."""
    program = tmp_path / "envd"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(BuildError, match=f"starting {program}: "):
        opened(str(program), tmp_path)


def test_no_line_is_lost_however_much_comes(tmp_path: Path) -> None:
    """Megabytes on stderr and on stdout at the same time, without a deadlock, in their order."""
    build = (
        "for number in range(40000):\n"
        "    print(f'#1 0.1 out {number} ' + 'x' * 60)\n"
        "    print(f'err {number} ' + 'y' * 60, file=sys.stderr)"
    )
    events = Events()
    opened(fake_envd(tmp_path, build), tmp_path).build(tmp_path, [], events)
    lines = [e.text.split()[:2] for e in events if isinstance(e, StepOutput)]
    (name,) = (e.name for e in events if isinstance(e, StepStarted) and e.number == 1)
    out = [int(number) for kind, number in lines if kind == b"out"]
    err = [int(number) for kind, number in lines if kind == b"err"]
    assert name.startswith("0.1 out 0 ")
    assert out == list(range(1, 40000))
    assert err == list(range(40000))


def test_a_failure_is_one_error_with_the_end_of_the_log(tmp_path: Path) -> None:
    """And envd's own last word, as text."""
    fatal = r"time=\"x\" level=fatal msg=exit error=\"step failed: \\\"no\\\"\""
    build = f"print('#1 a step')\nprint('#1 0.1 why')\nprint('#1 ERROR: x')\nsys.exit(\"{fatal}\")"
    with pytest.raises(BuildError) as raised:
        opened(fake_envd(tmp_path, build), tmp_path).build(tmp_path, [], Events())
    first, *log = raised.value.message.splitlines()
    assert first == 'building with envd: a step: step failed: "no"'
    assert "  | why" in log


def test_it_is_told_nothing_of_the_users_environment(tmp_path: Path) -> None:
    """But its PATH, the engine, and a home of its own."""
    certificates = Certificates.from_folder(tmp_path)
    endpoint = Endpoint("tcp://engine:2376", certificates)
    envd = opened(fake_envd(tmp_path), tmp_path, endpoint)
    home = tmp_path / "home"
    assert dict(envd.variables) == {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "ENVD_ANALYTICS": "false",
        "DOCKER_HOST": "tcp://engine:2376",
        "DOCKER_CERT_PATH": str(home / "certificates"),
        "DOCKER_TLS_VERIFY": "1",
    }


_BUILD = """
import sys
from pathlib import Path
from imagekit.builders.envd_program import Envd
class Events(list):
    def hear(self, event):
        print(event, flush=True)
folder = Path(sys.argv[1])
(folder / "home").mkdir()
Envd.open(sys.argv[2], folder / "home", {}, None).build(folder, [], Events())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_ends_the_program(tmp_path: Path, number: signal.Signals) -> None:
    """So that its build ends on the worker too."""
    build = (
        "import signal\n"
        "def end(*_):\n"
        f"    open({str(tmp_path / 'ended')!r}, 'w').close()\n"
        "    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('#1 waiting', flush=True)\n"
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", _BUILD, str(tmp_path), fake_envd(tmp_path, build)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert b"waiting" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(30) != 0
    assert (tmp_path / "ended").exists()
