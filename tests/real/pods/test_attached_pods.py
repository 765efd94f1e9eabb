# SPDX-License-Identifier: Apache-2.0
"""`imagekit sidecar attach ... | imagekit pod run -`: a task of ours beside a model's server.

The image is built by us, and is the task's, the gate's and the server's (a fake, see
src/fake_model.py). All pods run side by side.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from imagekit.oci.digest import hexadecimal
from imagekit.oci.store import Store
from tests.conformance.pods.harness import Outcome, finished
from tests.real.builds import Host, link_or_copy, new_host, shared_downloads

pytestmark = pytest.mark.network

ENGINES = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("podman", marks=(pytest.mark.podman, pytest.mark.slow)),
]
SPEC = "name: tests/pods\npython_version: '3.11'\nobject_storage: false\nsource_root: src\n"
SOURCES = Path(__file__).with_name("src")
SERVER = "/opt/venv/bin/python /root/fake_model.py {{port}} org/fake {how}"
CALL = ["call", "asking:ask", "text=hello"]
ANSWER = 'fake answer to "hello"'
PODS: dict[str, tuple[list[str], str, list[str]]] = {
    "asks": (["python", "/root/asking.py", "hello", "7"], "well", []),
    "ordinary": (CALL, "well", ["--ordinary"]),
    "probed": (CALL, "well", ["--gate", "probe"]),
    "never": (CALL, "empty", ["--startup-timeout", "4"]),
    "injected": (CALL, "well", ["--gate", "inject", "--gate-image", "{image}"]),
    "inputs": (
        CALL,
        "well",
        [
            *("--inputs", "/root/inputs.json"),
            *("--set", 'command=[python, "{{{{.inputs.program}}}}", "{{port}}", org/fake, well]'),
        ],
    ),
    "outlives": (["call", "asking:outlive", "text=hello"], "well", []),
}
"""By name: the task's arguments, how the server is, and more options of `attach`."""


@dataclass(frozen=True, slots=True)
class Machine:
    host: Host
    image: str
    engine: str

    def attach(self, name: str) -> str:
        """The pod's YAML, as users get it."""
        arguments, how, options = PODS[name]
        task = {"name": "task", "image": self.image, "args": arguments}
        path = self.host.root / f"{name}.yaml"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
        path.write_text(yaml.safe_dump({**pod, "spec": {"containers": [task]}}))
        command = SERVER.format(how=how).split()
        done = self.host.run(
            *("sidecar", "attach", "openai", "--pod", path, "--model", "org/fake"),
            *("--image", self.image, "--port", "8123", "--gpu", "0", "--cpu", "500m"),
            *("--memory", "256Mi", "--startup-timeout", "120", "--set", f"command={command}"),
            *(option.format(image=self.image) for option in options),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str) -> subprocess.Popen[str]:
        path = self.host.root / f"{name}-out.yaml"
        path.write_text(self.attach(name))
        words = ("pod", "run", path, "--engine", self.engine, "--output", "json")
        return self.host.start(*words)

    def forget(self) -> None:
        """Remove the image that came from the local store."""
        found = Store(self.host.root / "data" / "imagekit" / "store").find(self.image)
        name = hexadecimal(found.config_digest)
        command = [self.engine, "image", "rm", "--force", f"localhost/imagekit/run:{name}"]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module", params=ENGINES)
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Outcome]]:
    """What came of each pod."""
    folder = tmp_path_factory.mktemp("pods")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "src").mkdir()
    for path in SOURCES.iterdir():
        link_or_copy(path, folder / "src" / path.name)
    host = new_host(folder / "host", shared_downloads())
    host.lock(folder / "spec.yaml")
    done = host.run("build", "--locked", folder / "spec.yaml")
    assert done.returncode == 0, done.stderr
    machine = Machine(host, done.stdout.strip(), request.param)
    # The first one loads the image into the engine, and the others find it there.
    first, *others = PODS
    found = {first: finished(machine.start(first))}
    running = {name: machine.start(name) for name in others}
    yield found | {name: finished(process) for name, process in running.items()}
    machine.forget()


def test_a_task_asks_its_sidecar_and_its_exit_code_is_the_pods(
    outcomes: dict[str, Outcome],
) -> None:
    """The gate ran from the task's image, the task got its answer, and the server was stopped."""
    outcome = outcomes["asks"]
    assert outcome.ended("model-server-gate")["exitCode"] == 0
    talk = [("model-server", "the fake listens"), ("task", ANSWER)]
    assert [each for each in outcome.said if each in talk] == talk
    assert outcome.said[-1] == ("model-server", "the fake was stopped")
    assert (outcome.phase, outcome.code, outcome.ended("task")["exitCode"]) == ("Failed", 7, 7)


def test_a_server_without_its_model_fails_the_pod_in_words(outcomes: dict[str, Outcome]) -> None:
    """The gate's last words are its message, the server's are repeated, and no task ran."""
    outcome = outcomes["never"]
    message = outcome.ended("model-server-gate")["message"]
    assert "did not answer within 4 s: it serves no model, not org/fake" in message
    assert "pod:   model-server said: the fake listens" in outcome.notes
    assert (outcome.phase, outcome.code, outcome.lines("task")) == ("Failed", 1, [])


def test_a_task_outlives_its_server(outcomes: dict[str, Outcome]) -> None:
    """The server dies under a question; its last words are shown, and the task asks again."""
    outcome = outcomes["outlives"]
    assert "pod:   model-server said: out of memory, says the fake" in outcome.notes
    assert outcome.container("model-server")["restartCount"] == 1
    lines = outcome.lines("task")
    assert lines[0].startswith("the server is gone: ")
    assert ANSWER in json.loads(lines[-1]).values()
    assert (outcome.phase, outcome.code) == ("Succeeded", 0)


@pytest.mark.parametrize("name", ["ordinary", "probed", "injected"])
def test_other_forms_hold_the_task_back_too(outcomes: dict[str, Outcome], name: str) -> None:
    """An ordinary container, which the task's entrypoint waits for and stops; a probe; a gate of
    the runtime as one file, run by the image's own Python."""
    outcome = outcomes[name]
    assert json.loads(outcome.lines("task")[-1]) == {"o0": ANSWER}
    assert outcome.lines("model-server") == ["the fake listens", "the fake was stopped"]
    assert outcome.ended("model-server")["exitCode"] == 0
    assert (outcome.phase, outcome.code) == ("Succeeded", 0)


def test_an_input_of_the_task_reaches_its_server(outcomes: dict[str, Outcome]) -> None:
    """A step puts it where the server's command line looks for it: here it is the server."""
    outcome = outcomes["inputs"]
    assert outcome.ended("model-server-prepare")["exitCode"] == 0
    assert json.loads(outcome.lines("task")[-1]) == {"o0": ANSWER}
    assert (outcome.phase, outcome.code) == ("Succeeded", 0)
