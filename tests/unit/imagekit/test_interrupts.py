# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends all threads of a run, and the second one the process."""

import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

WORK = """\
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from imagekit import interrupts
ready = threading.Event()
def work():
    ready.wait()
    print("begun\\n", end="", flush=True)
    while True:
        interrupts.pause(0.01)
with interrupts.heard(), interrupts.told_of_interrupts(lambda: print("told", flush=True)):
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(work), pool.submit(work)]
        ready.set()
        for future in futures:
            future.result()
"""
ELSEWHERE = """\
import signal, threading, time
from imagekit import interrupts
def work():
    print("begun", flush=True)
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
with interrupts.heard():
    threading.Thread(target=work).start()
    threading.Event().wait()
"""
STUBBORN = """\
import time
from imagekit import interrupts
with interrupts.heard():
    while True:
        try:
            print("begun", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""
FETCH = """\
import sys
from concurrent.futures import ThreadPoolExecutor
from imagekit import interrupts
from imagekit.fetch import fetch
with interrupts.heard(), ThreadPoolExecutor(1) as pool:
    told = lambda size_bytes: print("begun", flush=True)
    asked = {"sha256": "0" * 64, "size_bytes": None, "name": "x", "advance": told}
    pool.submit(fetch, sys.argv[1:], **asked).result()
"""


def started(program: str, *words: str) -> tuple[subprocess.Popen[str], IO[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process, process.stdout


def test_all_threads_end() -> None:
    """They are in the middle of what they do, and nobody asked them but the main thread."""
    process, _ = started(WORK)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert "told" in output.splitlines()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_the_main_thread_hears_what_another_one_takes() -> None:
    """As of a signal just before it begins to wait, nobody tells it; it waits for no time."""
    process, _ = started(ELSEWHERE)
    _, errors = process.communicate(timeout=60)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_a_second_one_ends_what_does_not_listen() -> None:
    """At once, by the signal itself."""
    process, output = started(STUBBORN)
    process.send_signal(signal.SIGINT)
    assert output.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT


def test_an_import_is_not_interrupted(tmp_path: Path) -> None:
    """It would leave a lock held that every thread waits for; what comes after it is."""
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nprint('begun', flush=True)\ntry:\n    time.sleep(1)\n"
        "except KeyboardInterrupt:\n    print('broken')\nprint('imported', flush=True)\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from imagekit import interrupts\n"
        "with interrupts.heard():\n    import slow_to_import\n    interrupts.pause(600)\n"
    )
    process, _ = started(program)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert output == "imported\n"
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


@pytest.fixture
def endless() -> Iterator[str]:
    """The URL of a file that never ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 4096)
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/x"
    server.shutdown()
    server.server_close()


def test_downloads_end(endless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that would never come to an end; nothing of it is left."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    process, _ = started(FETCH, endless)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size] == []
