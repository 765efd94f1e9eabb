# SPDX-License-Identifier: Apache-2.0
"""The supervisor: signals, grace, orphans, crashes and kills, with real processes."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from entrypoint.errors import EXIT_CODES, SYSTEM
from entrypoint.wire.protobuf import decode
from tests.unit.entrypoint.workdir import Workdir

WAITING = """
import sys, time
def ready():
    print("ready", flush=True)
def sleeps(x: int) -> int:
    try:
        ready()
        time.sleep(60)
    finally:
        print("tidied up")
    return x
def in_c(x: int) -> int:
    import ctypes
    libc = ctypes.PyDLL(None)  # holds the interpreter's lock: no Python handler can run
    ready()
    while libc.sleep(60):
        pass
    return x
def busy_regex(x: int) -> int:
    import re
    ready()
    re.match(r"(a|a)*$", "a" * 60 + "b")
    return x
def finishes(x: int) -> int:
    import signal
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    ready()
    while not stopped:
        time.sleep(0.01)
    return x + 100
def swallows(x: int) -> int:
    ready()
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass
def with_children(x: int) -> int:
    import subprocess
    child = subprocess.Popen(["sleep", "987"])
    print(child.pid, flush=True)
    ready()
    import ctypes
    libc = ctypes.PyDLL(None)
    while libc.sleep(60):
        pass
    return x
"""


def start_and_wait(workdir: Workdir, task: str, *options: str) -> Any:
    workdir.module("waiting", WAITING)
    workdir.inputs({"x": 1})
    process = workdir.start(*workdir.execute_words(f"waiting:{task}", *options))
    assert process.stdout is not None
    said: list[str] = []
    while not said or said[-1] != "ready":
        line = process.stdout.readline()
        assert line, process.communicate()
        said.append(line.strip())
    return process, said


@pytest.mark.parametrize("task", ["sleeps", "in_c", "busy_regex", "swallows"])
def test_sigterm_leaves_a_recoverable_document_and_143(workdir: Workdir, task: str) -> None:
    """A task that can tidy up does; one stuck in C code is killed after the grace period."""
    process, _ = start_and_wait(workdir, task, "--grace", "0.5")
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == EXIT_CODES["interrupted"], stderr
    error = workdir.error()
    assert (error["code"], error["kind"], error["origin"]) == ("SYSTEM:Interrupted", 1, SYSTEM)
    assert "SIGTERM" in error["message"]
    assert ("tidied up" in stdout) == (task == "sleeps")


def test_a_task_that_handles_sigterm_itself_may_finish(workdir: Workdir) -> None:
    """The user's handler gets the signal, and outputs made within the grace period count."""
    process, _ = start_and_wait(workdir, "finishes")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    outputs = workdir.outputs()["literals"]
    assert outputs["o0"]["scalar"]["primitive"]["integer"] == 101


def test_sigint_is_an_interruption_and_not_the_users_error(workdir: Workdir) -> None:
    """Ctrl-C gives 130 and a recoverable document; the task sees one KeyboardInterrupt."""
    process, _ = start_and_wait(workdir, "sleeps")
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert workdir.error()["code"] == "SYSTEM:Interrupted"
    assert stdout.count("tidied up") == 1


def test_a_stuck_tasks_children_are_killed_with_it(workdir: Workdir) -> None:
    """After the grace period the whole process group goes."""
    process, said = start_and_wait(workdir, "with_children", "--grace", "0.3")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == EXIT_CODES["interrupted"]
    assert _is_gone(int(said[-2]))


def _is_gone(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_sigusr1_shows_the_stacks_and_disturbs_nothing(workdir: Workdir) -> None:
    """A look into a running task."""
    process, _ = start_and_wait(workdir, "finishes")
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert "in finishes" in stderr
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("no-such-program-here",), 127),
        (("/",), 126),
        (("true",), 0),
    ],
)
def test_any_other_word_is_a_program_with_its_own_exit_code(
    workdir: Workdir, words: Any, code: Any
) -> None:
    """As a shell would report it."""
    assert workdir.run(*words).code == code


def test_a_program_gets_forwarded_signals_and_usual_dispositions(workdir: Workdir) -> None:
    """SIGTERM reaches it, and SIGPIPE is not ignored as Python ignores it."""
    script = (
        "trap 'echo got; exit 5' TERM; grep SigIgn /proc/self/status; echo ready; sleep 60 & wait"
    )
    process = workdir.start("sh", "-c", script)
    assert process.stdout is not None
    ignored = int(process.stdout.readline().split()[1], 16)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (5, "got\n")
    assert not ignored & 1 << (signal.SIGPIPE - 1)


# -- on a terminal ----------------------------------------------------------------------------


class Terminal:
    """The runtime as a shell's job on a terminal of its own."""

    def __init__(self, workdir: Workdir, *words: str) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(workdir.path)
            command = workdir.command(*words)
            os.execve(command[0], command, workdir.environ)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        while text not in self.seen:
            self.seen += os.read(self.master, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def exit_code(self) -> int:
        """After reading the rest; a terminal whose last process is gone gives an error."""
        with contextlib.suppress(OSError):
            while more := os.read(self.master, 4096):
                self.seen += more.decode()
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_ctrl_c_on_a_terminal_reaches_the_task_once(workdir: Workdir) -> None:
    """One KeyboardInterrupt, as if there was no supervisor."""
    workdir.module(
        "counts",
        "import time\n"
        "def task(x: int) -> int:\n"
        "    for _ in range(2):\n"
        "        try:\n            print('ready')\n            time.sleep(1)\n"
        "        except KeyboardInterrupt:\n            print('interrupted', end='!')\n"
        "    return x\n",
    )
    terminal = Terminal(workdir, "call", "counts:task", "x=1")
    terminal.wait_for("ready")
    terminal.type("\x03")
    assert terminal.exit_code() == 0
    assert terminal.seen.count("interrupted!") == 1


def test_an_interactive_program_has_the_terminal(workdir: Workdir) -> None:
    """It reads what is typed, may use job control, and its exit code comes back."""
    terminal = Terminal(workdir, "sh", "-i")
    terminal.type("echo $((20 + 22)); ps -o stat= -p $$ 2>/dev/null; exit 3\n")
    assert terminal.exit_code() == 3
    assert "42" in terminal.seen


def test_ctrl_z_stops_the_whole_job_and_it_goes_on(workdir: Workdir) -> None:
    """The shell sees the stop, and `fg` continues the task."""
    workdir.module("waiting", WAITING)
    workdir.inputs({"x": 1})
    words = " ".join(workdir.command("call", "waiting:finishes", "x=1"))
    terminal = Terminal(workdir, "bash", "--norc", "-i")
    terminal.type(f"{words}\n")
    terminal.wait_for("ready\r\n")
    terminal.type("\x1a")
    terminal.wait_for("Stopped")
    terminal.type("kill -TERM %1; fg; echo code=$?; exit 0\n")
    terminal.wait_for("code=0")
    assert terminal.exit_code() == 0
    assert '{"o0": 101}' in terminal.seen


# -- as PID 1 ---------------------------------------------------------------------------------


def _pid_1() -> list[str] | None:
    """How to be PID 1 here: as root, or as root of a user namespace."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = [unshare, *user, "--pid", "--fork", "--mount-proc", "--kill-child"]
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if probe.returncode == 0 else None


PID_1 = _pid_1()
as_pid_1 = pytest.mark.skipif(PID_1 is None, reason="no PID namespaces here")

ORPHANS = """
import os, subprocess, time
def make(x: int) -> dict[str, int]:
    assert os.getppid() == 1
    for _ in range(50):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.2)
                os._exit(0)
            os._exit(0)
        os.wait()
    codes = [subprocess.run(["sh", "-c", f"sleep 0.01; exit {n}"]).returncode for n in range(20)]
    time.sleep(0.6)
    states = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                states.append(open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()[0])
            except OSError:
                pass
    return {"zombies": states.count("Z"), "right": codes == list(range(20)), "all": len(states)}
""".replace('"right": codes', '"right": int(codes').replace("range(20)),", "range(20))),")


@pytest.mark.userns
@as_pid_1
def test_as_pid_1_all_orphans_are_reaped_and_no_exit_code_is_stolen(workdir: Workdir) -> None:
    """50 orphans, no zombie is left; 20 children of the task, each with its own exit code."""
    workdir.module("orphans", ORPHANS)
    workdir.inputs({"x": 1})
    assert PID_1 is not None
    words = [*PID_1, *workdir.command(*workdir.execute_words("orphans:make"))]
    done = subprocess.run(
        words, cwd=workdir.path, env=workdir.environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    literals = workdir.outputs()["literals"]["o0"]["map"]["literals"]
    values = {name: each["scalar"]["primitive"]["integer"] for name, each in literals.items()}
    assert values == {"zombies": 0, "right": 1, "all": 2}


@pytest.mark.userns
@as_pid_1
@pytest.mark.parametrize("task", ["sleeps", "in_c"])
def test_as_pid_1_sigterm_works_too(workdir: Workdir, task: str) -> None:
    """The kernel drops unhandled signals to PID 1; ours are handled."""
    workdir.module("waiting", WAITING)
    workdir.inputs({"x": 1})
    words = workdir.command(*workdir.execute_words(f"waiting:{task}", "--grace", "0.4"))
    assert PID_1 is not None
    process = subprocess.Popen(
        [*PID_1, *words],
        cwd=workdir.path,
        env=workdir.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    inside = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(inside[0]), signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == EXIT_CODES["interrupted"], stderr
    assert workdir.error()["code"] == "SYSTEM:Interrupted"


# -- output, kills ----------------------------------------------------------------------------


def test_nothing_that_was_printed_is_lost_by_a_kill(workdir: Workdir) -> None:
    """20,000 lines, a half line and raw bytes, then SIGKILL: all of it came out."""
    workdir.module(
        "chatty",
        "import os, signal, sys\n"
        "def task(x: int) -> int:\n"
        "    for n in range(20_000):\n"
        "        print(n)\n"
        "    sys.stdout.write('half a')\n"
        "    sys.stdout.buffer.write(b' line')\n"
        "    sys.stderr.write('E' * 100)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return 0\n",
    )
    workdir.inputs({"x": 1})
    result = workdir.execute("chatty:task")
    lines = result.stdout.split("\n")
    assert lines[:-1] == [str(n) for n in range(20_000)]
    assert lines[-1] == "half a line"
    assert "E" * 100 in result.stderr
    assert workdir.error()["code"] == "SYSTEM:Killed"


def test_a_crash_after_the_outputs_are_left_is_still_a_success(workdir: Workdir) -> None:
    """What C extensions do at interpreter exit does not undo a committed result."""
    workdir.module(
        "late",
        "import atexit, os, signal\n"
        "def task(x: int) -> int:\n"
        "    atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\n"
        "    return x\n",
    )
    workdir.inputs({"x": 1})
    assert workdir.execute("late:task").code == 0
    assert set(os.listdir(workdir.prefix)) == {"outputs.pb"}


def test_stale_records_of_an_earlier_attempt_never_stay(workdir: Workdir) -> None:
    """Old outputs go when an attempt fails, an old error goes when one succeeds."""
    workdir.module(
        "flips",
        "def task(x: int) -> int:\n    if x:\n        raise ValueError\n    return x\n",
    )
    for value, expected in ((0, "outputs.pb"), (1, "error.pb"), (0, "outputs.pb")):
        workdir.inputs({"x": value})
        workdir.execute("flips:task")
        assert os.listdir(workdir.prefix) == [expected]


def test_kills_at_random_moments_never_leave_a_mixture(workdir: Workdir) -> None:
    """After 40 SIGKILLs: never both records, never half of one, and the next run is right."""
    workdir.module(
        "mixed",
        "from imagekit import File\n"
        "def task(x: int) -> tuple[int, File]:\n"
        "    open('made', 'w').write('x' * 200_000)\n"
        "    if x % 2:\n"
        "        raise ValueError(x)\n"
        "    return x, File('made')\n",
    )
    workdir.environ["PYTHONPATH"] = str(_root())
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    for attempt in range(40):
        workdir.inputs({"x": attempt})
        process = workdir.start(*workdir.execute_words("mixed:task"))
        time.sleep(chance.uniform(0.01, 0.12))
        process.kill()
        process.communicate()
        _check_prefix(workdir, attempt, seed)
    workdir.inputs({"x": 1000})
    assert workdir.execute("mixed:task").code == 0
    time.sleep(0.3)
    _check_prefix(workdir, 1000, seed)
    assert workdir.outputs()["literals"]["o0"]["scalar"]["primitive"]["integer"] == 1000
    assert not [name for name in os.listdir(workdir.prefix) if name.startswith(".")]


def _check_prefix(workdir: Workdir, attempt: int, seed: int) -> Any:
    try:
        names = set(os.listdir(workdir.prefix))
    except FileNotFoundError:
        return
    assert not {"outputs.pb", "error.pb"} <= names, (attempt, seed)
    if "outputs.pb" in names:
        outputs = workdir.outputs()["literals"]
        assert outputs["o0"]["scalar"]["primitive"]["integer"] <= attempt
        assert os.path.getsize(outputs["o1"]["scalar"]["blob"]["uri"]) == 200_000
    if "error.pb" in names:
        decode("ErrorDocument", (workdir.prefix / "error.pb").read_bytes())


def _root() -> Any:
    return Path(__file__).parents[3]


def test_a_launcher_that_ignores_sigchld_does_no_harm(workdir: Workdir) -> None:
    """Ignored signals are inherited, and with this one the kernel would not tell how tasks end."""
    workdir.module("tasks", "def double(x: int) -> int:\n    return 2 * x\n")
    workdir.inputs({"x": 4})
    words = workdir.command(*workdir.execute_words("tasks:double"))
    done = subprocess.run(
        ["sh", "-c", 'trap "" CHLD; exec "$@"', "sh", *words],
        cwd=workdir.path,
        env=workdir.environ,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0
    assert (workdir.prefix / "outputs.pb").exists()
