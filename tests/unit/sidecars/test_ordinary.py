# SPDX-License-Identifier: Apache-2.0
"""Servers in ordinary containers, for clusters before native sidecars: who waits, and who stops."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sidecars import VLLM, OptionError, PodError, attach, problems_of
from tests.fakes.fake_model_server import Script, serving
from tests.house.project import ROOT
from tests.unit.entrypoint.workdir import Workdir
from tests.unit.sidecars.pods import container, nim, ollama, pod, variables, vllm

ENDS_WITH = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit({}))
print(1, flush=True)
time.sleep(60)
"""


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    return Workdir(tmp_path)


def test_the_server_stands_beside_the_task() -> None:
    """With no step behind it; the task is told how long to wait, and the file that stops it."""
    result = attach(pod(), vllm(native=False, startup_timeout=77))
    assert [each["name"] for each in result["spec"]["containers"]] == ["main", "model-server"]
    assert "initContainers" not in result["spec"]
    server, task = container(result, "model-server"), container(result, "main")
    assert "restartPolicy" not in server
    found = variables(task)
    assert found["SIDECAR_MODEL_SERVER_DEADLINE"] == "77"
    assert found["SIDECAR_MODEL_SERVER_STOP"] == variables(server)["SIDECAR_STOP"]
    folder = found["SIDECAR_MODEL_SERVER_STOP"].rpartition("/")[0]
    mounts = [mount["mountPath"] for each in (task, server) for mount in each["volumeMounts"]]
    assert mounts.count(folder) == 2
    assert problems_of(result) == []
    assert attach(result, vllm(native=False, startup_timeout=77), "main") == result


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (lambda: attach(pod(), nim(native=False)), "what the image of nim starts is not known"),
        (lambda: vllm(native=False, gate="probe"), "has no use without native sidecars"),
        (lambda: attach(pod(), ollama(native=False)), "native=False has no step that could pull"),
    ],
)
def test_what_an_ordinary_container_can_not_do_is_refused(sidecar: Any, reason: str) -> None:
    """By name, before there is a pod."""
    with pytest.raises(OptionError, match=reason):
        sidecar()


def test_restarted_pods_are_refused() -> None:
    """The file that stops the server would still be there."""
    with pytest.raises(PodError, match="again for ever"):
        attach(pod(restartPolicy="OnFailure"), vllm(native=False))


def rendered_shell(stop: Path, *words: str) -> subprocess.Popen[bytes]:
    """The rendered command, around another program."""
    server = container(attach(pod(), vllm(native=False)), "model-server")
    command = [word.replace("$$", "$") for word in server["command"]]
    environment = {"PATH": os.environ["PATH"], "SIDECAR_STOP": str(stop)}
    return subprocess.Popen([*command, *words], env=environment, stdout=subprocess.PIPE)


def test_the_server_ends_well_when_the_task_has_ended(tmp_path: Path) -> None:
    """It is sent SIGTERM, and its container succeeds, so that the pod can."""
    server = rendered_shell(tmp_path / "stop", sys.executable, "-c", ENDS_WITH.format(9))
    assert server.stdout is not None
    assert server.stdout.readline() == b"1\n"
    (tmp_path / "stop").touch()
    server.communicate(timeout=30)
    assert server.returncode == 0


def test_a_server_that_dies_takes_its_code_along(tmp_path: Path) -> None:
    """It is no success."""
    server = rendered_shell(tmp_path / "stop", sys.executable, "-c", "raise SystemExit(3)")
    server.communicate(timeout=30)
    assert server.returncode == 3


def test_the_kubelets_signal_reaches_the_server(tmp_path: Path) -> None:
    """A shell that is process 1 passes nothing on by itself."""
    server = rendered_shell(tmp_path / "stop", sys.executable, "-c", ENDS_WITH.format(7))
    assert server.stdout is not None
    assert server.stdout.readline() == b"1\n"
    server.terminate()
    server.communicate(timeout=30)
    assert server.returncode == 7


def task_environment(script: Script, stop: Path, seconds: float = 60) -> dict[str, str]:
    return {
        "SIDECAR_MODEL_SERVER_URL": script.url,
        "SIDECAR_MODEL_SERVER_MODEL": script.model,
        "SIDECAR_MODEL_SERVER_KIND": "vllm",
        "SIDECAR_MODEL_SERVER_STOP": str(stop),
        "SIDECAR_MODEL_SERVER_DEADLINE": str(seconds),
    }


@pytest.mark.parametrize("body", ["return 1", "raise ValueError('no')"])
def test_the_entrypoint_waits_for_the_model_and_stops_the_server(
    workdir: Workdir, body: str
) -> None:
    """However the task ends."""
    workdir.module("mod", f"def task() -> int:\n    {body}\n")
    workdir.inputs({})
    stop = workdir.path / "stop"
    with serving(Script(lies=["no-model", "no-model", "honest"])) as script:
        done = workdir.execute("mod:task", environ=task_environment(script, stop))
        assert len(script.requests) == 4
    assert "waiting for org/model: it serves no model" in done.stderr
    assert (done.code == 0) == (body == "return 1"), done.stderr
    assert stop.exists()


def test_a_model_that_does_not_come_is_the_tasks_error(workdir: Workdir) -> None:
    """One that is worth another try; and the server is stopped."""
    workdir.module("mod", "def task() -> int:\n    return 1\n")
    workdir.inputs({})
    stop = workdir.path / "stop"
    with serving(Script(lies=["other-model"])) as script:
        done = workdir.execute("mod:task", environ=task_environment(script, stop, 0.5))
    assert done.code != 0
    assert "it serves org/other, not org/model" in workdir.error()["message"]
    assert stop.exists()


def test_a_task_that_waits_ends_when_it_is_told_to(workdir: Workdir) -> None:
    """As interrupted, with the server stopped."""
    workdir.module("mod", "def task() -> int:\n    return 1\n")
    workdir.inputs({})
    stop = workdir.path / "stop"
    with serving(Script(lies=["loading"])) as script:
        environ = {**workdir.environ, **task_environment(script, stop)}
        process = subprocess.Popen(
            workdir.command(*workdir.execute_words("mod:task")), cwd=workdir.path, env=environ
        )
        while not script.requests:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(30) == 143
    assert stop.exists()


def test_a_task_without_such_servers_reads_nothing_of_this() -> None:
    """Its start costs what it did."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import entrypoint.supervisor;"
    code += "assert 'entrypoint.companions' not in sys.modules"
    subprocess.run([sys.executable, "-I", "-c", code, str(ROOT)], check=True)


def test_arguments_keep_their_dollars() -> None:
    """The shell sees them as one word each, and Kubernetes expands none."""
    engine = VLLM(arguments={"x": "$(HOME) 'a b'"})
    server = container(attach(pod(), vllm(engine=engine, native=False)), "model-server")
    assert server["args"][-1] == "$$(HOME) 'a b'"
    assert "$(" not in server["command"][2].replace("$$", "")
