# SPDX-License-Identifier: Apache-2.0
"""Asking a server whether *this model* answers, in the words of its kind.

A health route says that a process runs; several servers say so before the model is loaded. So the
model has to be listed, and then has to answer one token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .asking import Answer, Server
from .errors import ServerRefusedError

READY = "ready"
Dialect = Callable[[Server, str, float], str]
"""Of a server, a model and a time: READY, or what is still missing.

Raises asking.FAILURES, or ServerRefusedError where waiting would change nothing.
"""
_LOOK_SECONDS = 10
_ANSWER_SECONDS = 120
_PROMPT = "Hi"
_MESSAGE = {"role": "user", "content": _PROMPT}
_OTHER_ROUTE = (400, 404, 405, 501)


def dialect(kind: str) -> Dialect:
    """How to ask a server of that kind: vLLM and NIM speak OpenAI's dialect."""
    return _ollama if kind == "ollama" else _openai


def _openai(server: Server, model: str, until: float) -> str:
    listing = _look(server, "/v1/models", until)
    if problem := _problem(listing, "/v1/models"):
        return problem
    served = _names(listing.document(), "data", "id")
    if model not in served:
        return f"it serves {', '.join(served) or 'no model'}, not {model}"
    token = {"model": model, "max_tokens": 1}
    routes = (
        ("/v1/completions", {**token, "prompt": _PROMPT}, "choices"),
        ("/v1/chat/completions", {**token, "messages": [_MESSAGE]}, "choices"),
        ("/v1/embeddings", {"model": model, "input": _PROMPT}, "data"),
    )
    return _first_answer(server, routes, min(until, server.clock() + _ANSWER_SECONDS))


def _ollama(server: Server, model: str, until: float) -> str:
    """The question loads the model, and who hangs up stops that: so it may take all the time."""
    listing = _look(server, "/api/tags", until)
    if problem := _problem(listing, "/api/tags"):
        return problem
    served = _names(listing.document(), "models", "name")
    if tagged(model) not in map(tagged, served):
        return f"it has {', '.join(served) or 'no model'}, not {model}"
    token = {"model": model, "stream": False, "options": {"num_predict": 1}}
    routes = (
        ("/api/generate", {**token, "prompt": _PROMPT}, "done"),
        ("/api/embed", {"model": model, "input": _PROMPT}, "embeddings"),
    )
    return _first_answer(server, routes, until)


def _look(server: Server, path: str, until: float) -> Answer:
    return server.ask("GET", path, until=min(until, server.clock() + _LOOK_SECONDS))


def _first_answer(
    server: Server, routes: Iterable[tuple[str, Mapping[str, Any], str]], until: float
) -> str:
    """Not every model completes, chats or embeds: the first route that it takes decides."""
    refusals = []
    for path, data, wanted in routes:
        answer = server.ask("POST", path, data, until=until)
        if answer.status not in _OTHER_ROUTE:
            return _problem(answer, path) or _answered(answer, path, wanted)
        refusals.append(f"{path} answers {answer.status} {answer.excerpt()}".rstrip())
    return "; ".join(refusals)


def tagged(model: str) -> str:
    """Ollama's full name of a model: without a tag it means `latest`."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _names(document: Any, key: str, name: str) -> list[str]:
    members = document.get(key) if isinstance(document, dict) else None
    if not isinstance(members, list):
        return []
    return [str(member.get(name)) for member in members if isinstance(member, Mapping)]


def _answered(answer: Answer, path: str, wanted: str) -> str:
    document = answer.document()
    found = document.get(wanted) if isinstance(document, dict) else None
    return READY if found else f"{path} answers without {wanted}: {answer.excerpt()}"


def _problem(answer: Answer, path: str) -> str | None:
    """None for an answer that can be read; raises where no later one will be."""
    if answer.status in (401, 403):
        raise ServerRefusedError(
            f"{path} answers {answer.status}: the server does not take this key",
            hint="api_key of the sidecar has to be the secret that the server reads",
        )
    if answer.status != 200:
        return f"{path} answers {answer.status} {answer.excerpt()}".rstrip()
    return None if answer.document() is not None else f"{path} gave no whole answer"
