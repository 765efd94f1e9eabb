# SPDX-License-Identifier: Apache-2.0
"""Runs pods as users do, in a process of its own, and keeps what came of each for several tests."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

DOCS = "https://kubernetes.io/docs/"
Test = TypeVar("Test", bound=Callable[..., None])
_PROGRAM = "import sys; from imagekit.cli.main import main; sys.exit(main(sys.argv[1:]))"
_PATIENCE_SECONDS = 120
_CHECKOUT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One rule of the kubelet's: its sentence is the test's, its source Kubernetes' own."""

    identifier: str
    sentence: str
    source: str


BEHAVIOURS: dict[str, Behaviour] = {}
"""By identifier, in the order of the tests."""


def behaviour(source: str) -> Callable[[Test], Test]:
    """Marks a test as the proof of a rule; `source` is a page below DOCS, or a KEP."""

    def add(test: Test) -> Test:
        identifier = test.__name__.removeprefix("test_").replace("_", "-")
        sentence = " ".join((test.__doc__ or "").split())
        found = Behaviour(identifier, sentence, source)
        assert BEHAVIOURS.setdefault(identifier, found) == found
        return test

    return add


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run said: `said` in its order, container by container and line by line."""

    code: int
    status: Mapping[str, Any]
    said: list[tuple[str, str]]
    notes: list[str]

    def lines(self, container: str) -> list[str]:
        return [line for name, line in self.said if name == container]

    def order(self, *lines: str) -> list[str]:
        """Those of `lines` that were said, as they came."""
        return [line for _, line in self.said if line in lines]

    @property
    def phase(self) -> str:
        return str(self.status["status"]["phase"])

    def container(self, name: str) -> dict[str, Any]:
        status = self.status["status"]
        every = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
        found: dict[str, Any] = next(each for each in every if each["name"] == name)
        return found

    def ended(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.container(name)["state"]["terminated"]
        return found


def script(text: str) -> list[str]:
    """A container's command, by the shell."""
    return ["sh", "-c", textwrap.dedent(text)]


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that ends, and quickly."""
    settled = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": settled}


Scenario = Callable[["Engine"], Outcome]
SCENARIOS: dict[str, Scenario] = {}
"""By the name that tests call them by."""


def scenario(play: Scenario) -> Scenario:
    """A run of a pod that several tests look at. Those of the chosen tests run side by side."""
    SCENARIOS[play.__name__] = play

    @functools.wraps(play)
    def once(engine: Engine) -> Outcome:
        return engine.begin(play).result()

    return once


@dataclass(slots=True)
class Engine:
    """One engine with the test's image; `image` is what pods call it, `claim` a volume's folder."""

    name: str
    image: str
    cache: Path
    claim: Path
    pool: ThreadPoolExecutor
    begun: dict[str, Future[Outcome]] = field(default_factory=dict)

    def begin(self, play: Scenario) -> Future[Outcome]:
        name = play.__name__
        if name not in self.begun:
            self.begun[name] = self.pool.submit(play, self)
        return self.begun[name]

    def container(self, name: str, text: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": self.image, "command": script(text), **more}

    def sidecar(self, name: str, text: str, **more: Any) -> dict[str, Any]:
        return self.container(name, text, restartPolicy="Always", **more)

    def start(
        self, *documents: Mapping[str, Any], words: list[str], path: str | None = None
    ) -> subprocess.Popen[str]:
        environ = {**os.environ, "XDG_CACHE_HOME": str(self.cache)}
        if path is not None:
            environ["PATH"] = path
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "pod", "run", "-", "--engine", self.name, *words],
            cwd=_CHECKOUT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(yaml.safe_dump_all(documents))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *documents: Mapping[str, Any], words: list[str] | None = None) -> Outcome:
        """To its end."""
        return finished(self.start(*documents, words=["--output", "json", *(words or [])]))

    def run_until(self, line: str, document: Mapping[str, Any], number: signal.Signals) -> Outcome:
        """Run a pod, and send it a signal once it has said `line`."""
        process = self.start(document, words=["--output", "json"])
        before = wait_for_line(process, line)
        process.send_signal(number)
        return finished(process, before)


def wait_for_line(process: subprocess.Popen[str], line: str) -> str:
    assert process.stderr is not None
    text = ""
    while not text.rstrip("\n").endswith(f"| {line}"):
        read = process.stderr.readline()
        assert read, text
        text += read
    return text


def finished(process: subprocess.Popen[str], before: str = "") -> Outcome:
    out, errors = process.communicate(timeout=_PATIENCE_SECONDS)
    text = before + errors
    said = [
        (name.strip(), line)
        for name, bar, line in (each.partition(" | ") for each in text.splitlines())
        if bar
    ]
    notes = [line for line in text.splitlines() if line.startswith(("pod: ", "error: "))]
    status = json.loads(out) if out else {}
    return Outcome(process.returncode, status, said, notes)
