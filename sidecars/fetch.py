# SPDX-License-Identifier: Apache-2.0
"""Having Ollama pull or make a model, by its API, with progress as lines of a log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from .asking import FAILURES, Server
from .blobs import digests, upload
from .client import Connection
from .dialects import tagged
from .errors import ServerRefusedError, ServerSlowError
from .made import is_made, mark_of, note
from .references import FILE, FOLDER, has_encoded, resolved

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_SILENCE_SECONDS = 120.0
_STEP_PERCENT = 10


def fetch(
    connection: Connection,
    create: Mapping[str, Any] | None,
    timeout: float,
    say: Callable[[str], None],
    inputs_folder: str = FOLDER,
) -> None:
    """Return when the server has the model. What it has already is not asked for again.

    `create` has the fields of /api/create, but `files` and `adapters` as lists of paths, which are
    uploaded, and references to the task's inputs.

    A pull that is cut off goes on where it was. Raises ServerRefusedError for what a retry would
    not change, ServerSlowError at the end of the time.
    """
    server = Server(connection.url, connection.key)
    until = server.clock() + timeout
    pause = _FIRST_PAUSE_SECONDS
    create = _with_inputs(create, inputs_folder) if create else None
    source = create.get("from") if create else connection.model
    while True:
        try:
            if source is not None and tagged(source) not in _tags(server, until):
                _stream(server, "/api/pull", {"model": source}, until, _Progress(say))
            if create:
                _make(server, connection.model, create, until, say)
            if tagged(connection.model) in _tags(server, until):
                return
            problem = f"the server still has no model {connection.model}"
        except FAILURES as error:
            problem = str(error) or type(error).__name__
        if until - server.clock() <= pause:
            wanted = source or connection.model
            raise ServerSlowError(f"fetching {wanted} took more than {timeout:g} s: {problem}")
        say(f"trying again: {problem}")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _make(
    server: Server, model: str, create: Mapping[str, Any], until: float, say: Callable[[str], None]
) -> None:
    """Unless the store has it from an earlier pod, made of the same."""
    blobs = {key: digests(create[key], say) for key in ("files", "adapters") if key in create}
    named = {
        key: {name: file.digest for name, file in files.items()} for key, files in blobs.items()
    }
    fields = {**create, **named}
    tags = _tags(server, until)
    mark = mark_of(model, fields, tags.get(tagged(create.get("from", ""))))
    if is_made(model, mark, tags):
        say(f"{model} is there, and made of the same")
        return
    for files in blobs.values():
        upload(server, files, until, say)
    _stream(server, "/api/create", {**fields, "model": model}, until, _Progress(say))
    note(server, model, mark, tags, until, say)


def _with_inputs(create: Mapping[str, Any], folder: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if has_encoded(create):
        with open(f"{folder}/{FILE}", encoding="utf-8") as file:
            inputs = json.load(file)
    return dict(resolved(dict(create), inputs))


def _tags(server: Server, until: float) -> dict[str, str]:
    """The digest of each model's manifest, by the model's full name."""
    answer = server.ask("GET", "/api/tags", until=min(until, server.clock() + 30))
    document = answer.document()
    if answer.status != 200 or not isinstance(document, dict):
        raise OSError(f"/api/tags answers {answer.status} {answer.excerpt()}".rstrip())
    models = [each for each in document.get("models") or [] if isinstance(each, dict)]
    return {tagged(str(each.get("name"))): str(each.get("digest") or "") for each in models}


def _stream(
    server: Server,
    path: str,
    data: Mapping[str, Any],
    until: float,
    progress: Callable[[Mapping[str, Any]], None],
) -> None:
    """Follow one request to its `success`; OSError where it ends without."""
    lines = server.stream(
        path, {**data, "stream": True}, until=until, silence_seconds=_SILENCE_SECONDS
    )
    last: Any = None
    for line in lines:
        last = line.document()
        if not isinstance(last, dict):
            raise OSError(f"{path} sent half a line")
        if "error" in last or line.status != 200:
            _fail(path, line.status, str(last.get("error", last)))
        progress(last)
    if not isinstance(last, dict) or last.get("status") != "success":
        raise OSError(f"{path} ended before its success")


def _fail(path: str, status: int, text: str) -> None:
    """A wrong name or field stays wrong; a network or a full server does not."""
    if status in (400, 401, 403, 404) or "file does not exist" in text:
        raise ServerRefusedError(f"{path}: {text}")
    raise OSError(f"{path}: {text}")


class _Progress:
    """Says each new status, and each tenth of a part."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said = ("", -1)

    def __call__(self, line: Mapping[str, Any]) -> None:
        status = str(line.get("status", ""))
        done, total = line.get("completed"), line.get("total")
        percent = -1
        if isinstance(done, int) and isinstance(total, int) and total > 0:
            percent = min(done, total) * 100 // total // _STEP_PERCENT * _STEP_PERCENT
        if (status, percent) != self._said:
            self._said = (status, percent)
            self._say(status if percent < 0 else f"{status} {percent}%")
