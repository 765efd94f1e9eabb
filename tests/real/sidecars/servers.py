# SPDX-License-Identifier: Apache-2.0
"""A real vLLM, started with exactly the command, arguments and environment of a rendered container.

Its container paths are paths of this machine: volumes are mounted where their folders are.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecars import Sidecar, attach
from tests.fakes.fake_model_server import free_port
from tests.house.project import ROOT
from tests.unit.sidecars.pods import container, pod

TINY = Path(__file__).parent / "tiny_model.py"
START_SECONDS = 900


def vllm_python() -> str:
    return os.environ["VLLM_PYTHON"]


def make_tiny_model(folder: Path) -> None:
    """A random Llama in `model`, adapters in `loras`."""
    subprocess.run([vllm_python(), str(TINY), str(folder)], check=True, capture_output=True)


def environment_of(container: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """As the kubelet gives it, with the keys of secrets by their names."""
    found = {}
    for variable in container["env"]:
        source = variable.get("valueFrom")
        text = variable["value"] if source is None else secrets[source["secretKeyRef"]["key"]]
        found[variable["name"]] = text.replace("$$", "$")
    return found


@dataclass
class Running:
    pod: dict[str, Any]
    process: subprocess.Popen[bytes]
    log: Path
    secrets: Mapping[str, str]

    @property
    def task_environment(self) -> dict[str, str]:
        return environment_of(container(self.pod, "main"), self.secrets)

    def gate(self, seconds: float = START_SECONDS) -> subprocess.CompletedProcess[str]:
        """The pod's own gate, run as its step; only where the package lies is another."""
        step = container(self.pod, "model-server-gate")
        words = ["wait", "--name", "model-server", "--deadline", str(seconds)]
        assert step["args"][:3] == words[:3]
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy;"
        code += "runpy.run_module('sidecars', run_name='__main__', alter_sys=True)"
        return subprocess.run(
            [sys.executable, "-I", "-c", code, *words],
            env=environment_of(step, self.secrets),
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self, seconds: float = 60) -> int:
        self.process.terminate()
        return self.process.wait(seconds)


@contextmanager
def running(
    sidecar: Sidecar, folder: Path, secrets: Mapping[str, str], paths: Mapping[str, str]
) -> Iterator[Running]:
    """Start the server of a rendered pod; `paths` are container paths that lie elsewhere here."""
    text = json.dumps(attach(pod(), sidecar))
    for inside, here in paths.items():
        text = text.replace(inside, here)
    rendered = json.loads(text)
    server = container(rendered, "model-server")
    words = [word.replace("$$", "$") for word in (*server["command"], *server["args"])]
    program = Path(vllm_python()).parent
    environment = {
        **environment_of(server, secrets),
        "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
    }
    assert words[0] == "python3"
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(program / "python3"), *words[1:]],
            env=environment,
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Running(rendered, process, log, secrets)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def random_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(18)).decode()


def port() -> int:
    return free_port()


_NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    proxy_set_header Authorization "Bearer {key}";
    location = /v1/health/live {{ return 200 "alive"; }}
    location = /v1/health/ready {{ proxy_pass {behind}/health; }}
    location /v1/ {{ proxy_pass {behind}; proxy_read_timeout 120s; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, port: str, behind: str, key: str) -> Iterator[subprocess.Popen[bytes]]:
    """What a NIM is from outside, before the vLLM at `behind`, which asks for `key`."""
    (folder / "nginx.conf").write_text(
        _NGINX.format(folder=folder, port=port, behind=behind, key=key)
    )
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"],
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
