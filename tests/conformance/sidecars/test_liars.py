# SPDX-License-Identifier: Apache-2.0
"""Servers that lie, by name, and what the gate and the task have to say of each.

All of them lie at the same time, over real sockets, to both dialects; a test looks at one.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

import sidecars
from sidecars import ServerDiedError, ServerRefusedError, ServerSlowError
from sidecars.client import Connection, find, wait
from sidecars.errors import ServerError
from tests.fakes.fake_model_server import Script, dying, free_port, serving

KINDS = ("vllm", "ollama")
ENDS_SECONDS, LONG_SECONDS = 3.0, 60.0
LOG, LAST_WORDS = "its log: kubectl logs pod-1", "its last words: kubectl logs pod-1"
Error = type[ServerError]


@dataclass(frozen=True)
class Liar:
    """`lie` is what the fake does; `gate` and `task` are the errors of those who believed it."""

    lie: str
    says: str
    gate: Error = ServerSlowError
    task: Error = ServerSlowError
    recovers: bool = True


LIARS = {
    "healthy before the model": Liar("healthy", "answers 404"),
    "lists nothing": Liar("no-model", "no model, not org/model"),
    "lists another model": Liar("other-model", "org/other, not org/model"),
    "lists what it still loads": Liar("loading", "answers 503"),
    "lists what no route answers": Liar("no-route", "answers 404"),
    "answers without a token": Liar("no-token", "answers without"),
    "answers half": Liar("half", "no whole answer"),
    "answers no JSON": Liar("garbage", "no whole answer"),
    "answers other JSON": Liar("scalar", "no model, not org/model"),
    "answers without end": Liar("endless", "no whole answer"),
    "speaks no HTTP": Liar("banner", "no whole answer"),
    "redirects": Liar("redirect", "answers 307"),
    "fails inside": Liar("error", "answers 500"),
    "hangs": Liar("hang", "no whole answer", recovers=False),
    "drips": Liar("drip", "no whole answer", recovers=False),
    "resets": Liar("reset", "no whole answer"),
    "wants another key": Liar(
        "unauthorized", "answers 401", ServerRefusedError, ServerRefusedError, recovers=False
    ),
    "forbids": Liar(
        "forbidden", "answers 403", ServerRefusedError, ServerRefusedError, recovers=False
    ),
}


@dataclass
class Outcome:
    """What became of one wait, and whether the server was asked more than it had to be."""

    script: Script
    error: ServerError | None = None
    said: list[str] = field(default_factory=list)


def environment(script: Script, kind: str) -> dict[str, str]:
    return {
        "SIDECAR_MODEL_SERVER_URL": script.url,
        "SIDECAR_MODEL_SERVER_MODEL": script.model,
        "SIDECAR_MODEL_SERVER_KIND": kind,
        "HOSTNAME": "pod-1",
    }


def connected(script: Script, kind: str, who: str, seconds: float = ENDS_SECONDS) -> Outcome:
    """As the gate waits, or as a task connects."""
    outcome = Outcome(script)
    values = environment(script, kind)
    try:
        if who == "gate":
            wait(find(None, values), seconds, "pod-1", outcome.said.append, started=False)
        else:
            sidecars.connect(environment=values, timeout=seconds)
    except ServerError as error:
        outcome.error = error
    return outcome


def beside_liar(name: str, kind: str, who: str) -> Outcome:
    with serving(Script(lies=[LIARS[name].lie])) as script:
        return connected(script, kind, who)


def until_honest(name: str, kind: str) -> Outcome:
    lie = LIARS[name].lie
    with serving(Script(lies=[lie, lie, "honest"])) as script:
        return connected(script, kind, "task", LONG_SECONDS)


@pytest.fixture(scope="module")
def lasting() -> Iterator[dict[tuple[str, str, str], Future[Outcome]]]:
    """Every liar, beside everyone who may believe it, for as long as they wait."""
    cases = [(name, kind, who) for name in LIARS for kind in KINDS for who in ("gate", "task")]
    with ThreadPoolExecutor(len(cases)) as pool:
        yield {case: pool.submit(beside_liar, *case) for case in cases}


@pytest.fixture(scope="module")
def ending() -> Iterator[dict[tuple[str, str], Future[Outcome]]]:
    """Those that tell the truth in the end."""
    cases = [(name, kind) for name, liar in LIARS.items() for kind in KINDS if liar.recovers]
    with ThreadPoolExecutor(len(cases)) as pool:
        yield {case: pool.submit(until_honest, *case) for case in cases}


@pytest.mark.parametrize("who", ["gate", "task"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LIARS)
def test_a_liar_is_believed_by_nobody(
    lasting: dict[tuple[str, str, str], Future[Outcome]], name: str, kind: str, who: str
) -> None:
    """At the end of the time, or at once where waiting is no use: with what was seen, and where
    its log is."""
    outcome, liar = lasting[name, kind, who].result(), LIARS[name]
    assert type(outcome.error) is (liar.gate if who == "gate" else liar.task)
    assert outcome.error is not None
    assert "model org/model of sidecar model-server in pod pod-1" in outcome.error.message
    assert liar.says in outcome.error.message
    if liar.gate is ServerRefusedError:
        assert len(outcome.script.requests) == 1
    else:
        assert outcome.error.hint == f"{LOG} -c model-server"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name, liar in LIARS.items() if liar.recovers])
def test_a_lie_that_ends_is_waited_out(
    ending: dict[tuple[str, str], Future[Outcome]], name: str, kind: str
) -> None:
    """Then the model's own token ends the wait."""
    outcome = ending[name, kind].result()
    assert outcome.error is None
    assert len(outcome.script.requests) > 2


def test_one_that_never_listens_is_slow_to_the_gate_and_dead_to_the_task() -> None:
    """The task runs only when the gate has heard the model."""
    script = Script(port=free_port())
    gate, task = (connected(script, "vllm", who, 0.3) for who in ("gate", "task"))
    assert type(gate.error) is ServerSlowError
    assert "nothing listens" in str(gate.error)
    assert f"{LOG} -c model-server" in str(gate.error)
    assert type(task.error) is ServerDiedError
    assert f"{LAST_WORDS} -c model-server --previous" in str(task.error)


def test_one_that_dies_while_it_loads_is_no_slow_one() -> None:
    """It listened, and listens no more."""
    with dying(Script(lies=["loading"]), after_requests=4) as script:
        outcome = connected(script, "vllm", "gate", 2)
    assert type(outcome.error) is ServerDiedError
    assert f"{LAST_WORDS} -c model-server --previous" in str(outcome.error)


@contextlib.contextmanager
def crashing(script: Script) -> Iterator[Script]:
    """Serves two requests, is gone for a moment, and so on, on one port."""
    script.port = free_port()
    ended = threading.Event()

    def loop() -> None:
        while not ended.is_set():
            life = Script(port=script.port, lies=list(script.lies), requests=script.requests)
            with serving(life):
                count = len(script.requests)
                while len(script.requests) < count + 2 and not ended.wait(0.01):
                    pass
            ended.wait(0.3)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield script
    finally:
        ended.set()
        thread.join()


def test_one_that_crashes_again_and_again_is_told_as_that() -> None:
    """However it stands when the time is up: that it died, and where its last words are."""
    with crashing(Script(lies=["loading"])) as script:
        outcome = connected(script, "vllm", "gate", 2)
    assert outcome.error is not None
    assert re.search(r"died|deaths seen: \d", outcome.error.message)
    assert outcome.error.hint == f"{LAST_WORDS} -c model-server --previous"


def test_one_that_dies_in_the_middle_of_a_task_is_found_dead_then_back() -> None:
    """After a failed call the task connects anew: to nothing, or to the one that was restarted."""
    with serving(Script()) as script:
        assert connected(script, "vllm", "task").error is None
    died = connected(script, "vllm", "task", 0.3)
    assert type(died.error) is ServerDiedError
    with serving(Script(port=script.port)) as again:
        assert connected(again, "vllm", "task").error is None


def test_a_redirect_takes_no_key_along() -> None:
    """Nobody asks where it leads."""
    with serving(Script()) as other, serving(Script(lies=["redirect"], key="word")) as script:
        script.key, key = None, "word"
        connection = Connection("model-server", script.url, script.model, "vllm", key)
        with pytest.raises(ServerSlowError):
            wait(connection, 0.3, "pod-1", started=True)
        assert other.requests == []


def test_there_are_at_least_twelve() -> None:
    """As was asked for."""
    assert len(LIARS) >= 12
