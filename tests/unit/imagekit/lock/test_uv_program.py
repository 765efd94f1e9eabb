# SPDX-License-Identifier: Apache-2.0
"""Where uv's program is found."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """\
import sys, threading
from imagekit.lock.uv import program
sys.setswitchinterval(1e-6)
begin = threading.Barrier(16)
found = []
def find():
    begin.wait()
    found.append(program())
threads = [threading.Thread(target=find) for _ in range(16)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(*found, sep="\\n")
"""


def test_threads_that_ask_at_the_same_time_all_find_it() -> None:
    """Also the first time in a process, when Python reads its own configuration for it."""
    command = [sys.executable, "-c", PROGRAM]
    done = [subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(3)]

    assert [""] * 3 == [each.stderr for each in done]
    found = [path for each in done for path in each.stdout.splitlines()]
    assert 48 == len(found)
    assert os.access(found[0], os.X_OK)
    assert 1 == len(set(found))
