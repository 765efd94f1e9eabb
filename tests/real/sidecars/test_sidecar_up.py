# SPDX-License-Identifier: Apache-2.0
"""`imagekit sidecar up`: a server alone, on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from imagekit.engines.container import Docker
from imagekit.oci.assemble import Settings
from tests.fakes.fake_model_server import free_port
from tests.fakes.images import busybox_image

_PROGRAM = "import sys; from imagekit.cli.main import main; sys.exit(main(sys.argv[1:]))"


# As a container's first process httpd is not ended by SIGTERM.
STUBBORN = "mkdir /w; echo well > /w/health; exec httpd -f -p {port} -h /w"
OBEDIENT = "mkdir /w; echo well > /w/health; trap exit TERM; httpd -f -p {port} -h /w & wait"


@pytest.mark.docker
@pytest.mark.busybox
@pytest.mark.parametrize("serve", [OBEDIENT, STUBBORN], ids=["obedient", "stubborn"])
def test_a_server_runs_until_it_is_interrupted(tmp_path: Path, serve: str) -> None:
    """Its variables are printed when it is up, it answers on 127.0.0.1, and Ctrl-C is no error.

    A server that does not end is killed at a second Ctrl-C, which is offered at the first.
    """
    found = Docker(os.environ).have(busybox_image(tmp_path, Settings()))
    tag = f"localhost/imagekit/up-test:{os.getpid()}"
    subprocess.run(["docker", "tag", found, tag], check=True)
    port = free_port()
    server = f'command=["sh", "-c", "{serve}"]'
    words = ["sidecar", "up", "openai", "--model", "org/m", "--set", server, "--on", "docker"]
    words += ["--image", tag, "--gpu", "0", "--startup-timeout", "60", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines == [
            f"SIDECAR_MODEL_SERVER_URL=http://127.0.0.1:{port}",
            "SIDECAR_MODEL_SERVER_MODEL=org/m",
            "SIDECAR_MODEL_SERVER_KIND=openai",
        ]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert answer.read() == b"well\n"
        process.send_signal(signal.SIGINT)
        offer = "pod: stopping it, within 60 s; a second Ctrl-C or SIGTERM kills it at once\n"
        while process.stderr.readline() != offer:
            assert process.poll() is None
        if serve == STUBBORN:
            process.send_signal(signal.SIGINT)
        assert process.wait(50) == 0
    finally:
        process.kill()
        process.communicate()
        subprocess.run(["docker", "image", "rm", "--force", found], check=False)
