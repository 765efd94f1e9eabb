# SPDX-License-Identifier: Apache-2.0
"""Timeouts, hooks on cancellation, workers that share a prefix, and waiting for others."""

from __future__ import annotations

import http.server
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from entrypoint.errors import RECOVERABLE, USER
from entrypoint.wire.protobuf import decode
from tests.house.project import ROOT
from tests.unit.entrypoint.workdir import Workdir

SLOW = """
import sys, time
sys.path.append({path!r})
import imagekit

def sleeps(x: int) -> int:
    print("started", flush=True)
    time.sleep(60)
    return x

def stuck(x: int) -> int:
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    time.sleep(60)
    return x

def hooked(x: int) -> int:
    imagekit.on_cancel(lambda: open("first", "x").close())
    imagekit.on_cancel(lambda: 1 / 0)
    imagekit.on_cancel(lambda: imagekit.current_context().checkpoint.save(b"epoch 7"))
    print("started", flush=True)
    time.sleep(60)
    return x

class IgnoreOutputs(Exception):
    pass

def ignored(x: int) -> int:
    raise IgnoreOutputs("only rank 0 has outputs")

def fails(x: int) -> int:
    raise ValueError("worker")
"""


@pytest.fixture
def slow(workdir: Workdir) -> Workdir:
    workdir.module("slow", SLOW.format(path=str(ROOT)))
    workdir.inputs({"x": 1})
    return workdir


@pytest.mark.parametrize(("task", "grace"), [("sleeps", "20"), ("stuck", "0.2")])
def test_a_timeout_ends_the_task_and_leaves_a_document(
    slow: Workdir, task: str, grace: str
) -> None:
    """A SIGTERM first, a SIGKILL after the grace period; either way the timeout is what is said."""
    result = slow.execute(f"slow:{task}", "--timeout", "0.5", "--grace", grace)
    assert result.code == 124, result.stderr
    error = slow.error()
    assert (error["code"], error["kind"], error["origin"]) == ("USER:Timeout", RECOVERABLE, USER)
    assert "longer than its timeout of 0.5 seconds" in error["message"]


def test_the_timeouts_twin_holds_for_programs_and_for_flytes_exit_codes(slow: Workdir) -> None:
    """Under Flyte's spelling a document is enough."""
    limit = {"IMAGEKIT_TIMEOUT": "0.4"}
    assert slow.run("sleep", "60", environ=limit).code == 124
    assert slow.execute("slow:sleeps", verb="pyflyte-execute", environ=limit).code == 0
    assert slow.error()["code"] == "USER:Timeout"
    assert slow.execute("slow:fails", "--timeout", "60").code == 10


def test_hooks_run_on_sigterm_last_first_and_the_next_attempt_finds_what_they_saved(
    slow: Workdir,
) -> None:
    """One that fails is printed, and stops nothing."""
    words = slow.execute_words("slow:hooked", "--checkpoint-path", str(slow.path / "saved"))
    process = slow.start(*words)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "ZeroDivisionError" in errors
    assert (slow.path / "first").exists()
    slow.module(
        "again",
        SLOW.format(path=str(ROOT)) + "def look() -> str:\n"
        "    return imagekit.current_context().checkpoint.read().decode()\n",
    )
    slow.inputs({})
    assert slow.execute("again:look", "--prev-checkpoint", str(slow.path / "saved")).code == 0
    assert slow.outputs()["literals"]["o0"]["scalar"]["primitive"]["string_value"] == "epoch 7"


def test_workers_that_share_a_prefix_leave_documents_beside_each_other(slow: Workdir) -> None:
    """Each with its worker's name, at a name of its own, and nobody removes another's record."""
    for worker in ("worker-0", "worker-1"):
        environ = {"FLYTE_INTERNAL_DIST_ERROR_STRATEGY": "earliest", "_F_WN": worker}
        assert slow.execute("slow:fails", environ=environ).code == 10
    paths = sorted(slow.prefix.iterdir())
    assert all(re.fullmatch(r"error-[0-9a-f]{32}\.pb", path.name) for path in paths)
    errors = [decode("ErrorDocument", path.read_bytes())["error"] for path in paths]
    assert {error["worker"] for error in errors} == {"worker-0", "worker-1"}


def test_a_task_may_ask_for_no_outputs_at_all(slow: Workdir) -> None:
    """Flyte's IgnoreOutputs, known by its name: success, and no record."""
    assert slow.execute("slow:ignored").code == 0
    assert not slow.prefix.exists()


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """Its address, and the statuses that it answers with, the last one for good."""
    statuses = [503, 503, 204]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Silence."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listening.server_port}", statuses
        listening.shutdown()


def test_wait_returns_when_the_url_answers_with_success(
    workdir: Workdir, server: tuple[str, list[int]]
) -> None:
    """Not when it merely answers."""
    address, statuses = server
    assert workdir.run("wait", "--timeout", "30", f"http://{address}/health").code == 0
    assert statuses == [204]
    assert workdir.run("wait", f"tcp://{address}").code == 0
    statuses[:] = [503]
    late = workdir.run("wait", "--timeout", "0.5", f"http://{address}/health")
    assert (late.code, late.stdout) == (124, "")
    assert "waited 0.5 seconds" in late.stderr
    assert "503" in late.stderr


def test_wait_returns_when_the_file_is_there(workdir: Workdir) -> None:
    """It may be there already, or come later."""
    process = workdir.start("wait", "ready")
    time.sleep(0.3)
    assert process.poll() is None
    workdir.module("ready", "")
    (workdir.path / "ready.py").rename(workdir.path / "ready")
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_wait_says_what_was_the_matter(workdir: Workdir) -> None:
    """At the deadline; and what is no target is refused at once."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        late = workdir.run("wait", "--timeout", "0.3", target)
    assert (late.code, "refused" in late.stderr) == (124, True)
    assert "does not exist" in workdir.run("wait", "--timeout=0", "absent").stderr
    for target in ("ftp://host", "tcp://host", "http://", "tcp://host:port"):
        assert workdir.run("wait", target).code == 2


def test_wait_stops_when_told_to(workdir: Workdir) -> None:
    """As PID 1 has to say for itself."""
    process = workdir.start("wait", "absent")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
