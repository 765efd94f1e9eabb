# SPDX-License-Identifier: Apache-2.0
"""Waiting for a model. What serves here is a fake, over real sockets."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidecars
from sidecars import ServerRefusedError, SidecarError
from sidecars.asking import Server
from sidecars.client import Connection
from tests.fakes.fake_model_server import TOKEN_ROUTES, Script, free_port, serving

ROOT = Path(__file__).parents[3]
KINDS = ("vllm", "nim", "openai", "ollama")
SHORT = 0.4


def environment(script: Script, kind: str = "vllm") -> dict[str, str]:
    return {
        "SIDECAR_MODEL_SERVER_URL": script.url,
        "SIDECAR_MODEL_SERVER_MODEL": script.model,
        "SIDECAR_MODEL_SERVER_KIND": kind,
        "HOSTNAME": "pod-1",
        **({"SIDECAR_MODEL_SERVER_API_KEY": script.key} if script.key else {}),
    }


@pytest.fixture
def script() -> Iterator[Script]:
    with serving(Script()) as script:
        yield script


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_answers_is_connected_to(script: Script, kind: str) -> None:
    """What OpenAI's client takes, from the environment alone."""
    found = sidecars.connect(environment=environment(script, kind))
    assert found == Connection("model-server", script.url, "org/model", kind)
    assert found.base_url == f"{script.url}/v1"
    tokens = [path for _, path, _ in script.requests if path in TOKEN_ROUTES]
    assert len(tokens) == 1


def test_half_an_answer_is_none(script: Script) -> None:
    """It ended before the length that it promised."""
    script.lies = ["half"]
    server = Server(script.url)
    with pytest.raises(http.client.IncompleteRead):
        server.ask("GET", "/v1/models", until=server.clock() + 30)


def test_an_answer_without_end_is_not_read_on(script: Script) -> None:
    """What is kept of it has a limit."""
    script.lies = ["endless"]
    server = Server(script.url)
    with pytest.raises(http.client.HTTPException, match="the answer is too long"):
        server.ask("GET", "/v1/models", until=server.clock() + 30)


def test_a_wrong_key_is_told_at_once(script: Script) -> None:
    """Waiting would not make it right; with the right one the model answers."""
    script.key = "right"
    with pytest.raises(ServerRefusedError, match="401"):
        sidecars.connect(
            environment={**environment(script), "SIDECAR_MODEL_SERVER_API_KEY": "wrong"},
            timeout=60,
        )
    assert len(script.requests) == 1
    found = sidecars.connect(environment=environment(script))
    assert found.key == "right"
    assert "right" not in repr(found)


def test_a_key_with_a_line_break_is_told(script: Script) -> None:
    """As a Secret made with `echo` has it."""
    script.key = "right\n"
    with pytest.raises(SidecarError, match=r"nothing that HTTP can carry.*line break"):
        sidecars.connect(environment=environment(script))


@pytest.mark.parametrize(
    ("kind", "routes"),
    [
        ("openai", ("/v1/chat/completions",)),
        ("vllm", ("/v1/embeddings",)),
        ("ollama", ("/api/embed",)),
    ],
)
def test_models_that_only_chat_or_embed_answer_too(
    script: Script, kind: str, routes: tuple[str, ...]
) -> None:
    """The first route that the model takes decides."""
    script.routes = routes
    sidecars.connect(environment=environment(script, kind))
    assert script.asked(routes[0])


def test_a_server_that_comes_back_is_found() -> None:
    """The kubelet restarts it, on the same port."""
    script = Script(port=free_port())

    def come() -> None:
        with serving(script):
            script.stopping.wait(20)

    thread = threading.Timer(0.3, come)
    thread.start()
    try:
        sidecars.connect(environment=environment(script), timeout=20)
    finally:
        script.stopping.set()
        thread.join()


def test_proxies_of_the_environment_are_not_asked(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is in the pod."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    sidecars.connect(environment=environment(script))


def test_one_of_several_is_named(script: Script) -> None:
    """And one that is not there is told with those that are."""
    values = environment(script)
    several = {**values, "SIDECAR_SMALL_ONE_URL": "http://127.0.0.1:1"}
    with pytest.raises(SidecarError, match="model-server, small-one"):
        sidecars.connect(environment=several)
    sidecars.connect("model-server", environment=several)
    with pytest.raises(SidecarError, match="tells of none"):
        sidecars.connect(environment={})
    with pytest.raises(SidecarError, match="only in part"):
        sidecars.connect("small-one", environment=several)


def step(verb: str, seconds: float, values: dict[str, str]) -> subprocess.Popen[str]:
    """As a pod's init container starts it, but for the place of the package."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy;"
        "runpy.run_module('sidecars', run_name='__main__', alter_sys=True)"
    )
    words = [verb, "--name", "model-server", "--deadline", str(seconds)]
    return subprocess.Popen(
        [sys.executable, "-I", "-c", code, *words],
        env=values,
        stderr=subprocess.PIPE,
        text=True,
        cwd=os.sep,
    )


def test_the_gate_opens_when_the_model_answers(script: Script) -> None:
    """With what it waited for in its log, each thing once."""
    script.lies = ["no-model"] * 3 + ["honest"]
    gate = step("wait", 60, environment(script))
    log = gate.communicate(timeout=60)[1]
    assert gate.returncode == 0, log
    assert log.splitlines() == ["waiting for org/model: it serves no model, not org/model"]


def test_a_gate_that_gives_up_says_why(script: Script) -> None:
    """On its last line, which becomes the pod's message."""
    script.lies = ["other-model"]
    gate = step("wait", SHORT, environment(script))
    log = gate.communicate(timeout=60)[1]
    assert gate.returncode == 1
    assert "it serves org/other, not org/model" in log.splitlines()[-1]
    assert "kubectl logs pod-1 -c model-server" in log.splitlines()[-1]


def test_a_gate_ends_when_it_is_told_to(script: Script) -> None:
    """A process 1 ignores SIGTERM unless it asks for it."""
    script.lies = ["loading"]
    gate = step("wait", 60, environment(script))
    assert gate.stderr is not None
    assert gate.stderr.readline()
    gate.send_signal(signal.SIGTERM)
    gate.communicate(timeout=30)
    assert gate.returncode == 143
