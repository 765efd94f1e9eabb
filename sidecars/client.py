# SPDX-License-Identifier: Apache-2.0
"""In the task: `sidecars.connect()` gives the server's address once its model answers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .asking import FAILURES, Server
from .dialects import READY, dialect
from .errors import ServerDiedError, ServerError, ServerSlowError, SidecarError
from .sidecar import variable_name

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
_URL = re.compile(r"SIDECAR_([A-Z0-9_]+)_URL")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the model is; `base_url`, `key` and `model` are what OpenAI's client takes."""

    name: str
    url: str
    """Of the server; `base_url` is that of its OpenAI routes."""
    model: str
    kind: str
    key: str | None = field(default=None, repr=False)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


def connect(
    name: str | None = None,
    *,
    timeout: float = 300,
    environment: Mapping[str, str] | None = None,
) -> Connection:
    """Wait until the sidecar's model answers one token, for at most `timeout` seconds.

    `name` is the sidecar's, and may be left out if the pod has one. After a failed call of the
    model, calling this again waits for a server that was restarted.

    Raises a ServerError: ServerDiedError, ServerSlowError or ServerRefusedError; another
    SidecarError where the pod has no such sidecar.
    """
    environment = os.environ if environment is None else environment
    connection = find(name, environment)
    wait(connection, timeout, pod_name(environment), started=True)
    return connection


def pod_name(environment: Mapping[str, str]) -> str:
    """As `kubectl` wants it: a pod's host name is its name, unless the pod says otherwise."""
    return environment.get("HOSTNAME", "POD")


def find(name: str | None, environment: Mapping[str, str]) -> Connection:
    """The sidecar that the environment tells of."""
    there = {
        found[1].lower().replace("_", "-"): found[1]
        for variable in environment
        if (found := _URL.fullmatch(variable))
    }
    if name is None and len(there) == 1:
        (name,) = there
    if name is None or name not in there:
        names = ", ".join(sorted(there)) or "none"
        wanted = "one sidecar" if name is None else f"sidecar {name!r}"
        raise SidecarError(f"looking for {wanted}: the environment tells of {names}")

    def value(suffix: str) -> str | None:
        return environment.get(variable_name(name, suffix))

    url, model, kind = value("URL"), value("MODEL"), value("KIND")
    if not url or not model or not kind:
        raise SidecarError(f"the environment tells of sidecar {name!r} only in part")
    key = value("API_KEY")
    if key is not None and not (key.isascii() and key.isprintable()):
        raise SidecarError(
            f"the API key of sidecar {name!r} is nothing that HTTP can carry",
            hint="a Secret made from a file often ends with a line break",
        )
    return Connection(name, url.rstrip("/"), model, kind, key)


def wait(
    connection: Connection,
    timeout: float,
    pod: str,
    say: Callable[[str], None] = lambda _: None,
    *,
    started: bool,
) -> None:
    """Return when the model answers; raises one of the ServerErrors.

    `started`: the server is known to have listened before, so if nothing listens, it died.
    """
    server = Server(connection.url, connection.key)
    ask = dialect(connection.kind)
    until = server.clock() + timeout
    seen, listens, heard, deaths = started, started, False, 0
    last, pause = "nothing listens", _FIRST_PAUSE_SECONDS
    while server.clock() < until:
        try:
            last = ask(server, connection.model, until)
            if last == READY:
                return
            seen = listens = heard = True
        except ConnectionRefusedError:
            deaths += listens
            listens, last = False, "nothing listens"
        except FAILURES as error:
            seen = listens = True
            if not heard or server.clock() < until:  # else our own time was up, not its patience
                last = f"no whole answer: {str(error) or type(error).__name__}"
        except ServerError as error:
            raise type(error)(_text(connection, error.message, pod), hint=error.hint) from None
        say(f"waiting for {connection.model}: {last}")
        time.sleep(max(0.0, min(pause, until - server.clock())))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    died = seen and not listens
    kind = ServerDiedError if died else ServerSlowError
    what = "the server died" if died else f"it did not answer within {timeout:g} s"
    again = f" (deaths seen: {deaths})" if deaths > died else ""
    raise kind(
        _text(connection, f"{what}: {last}{again}", pod), hint=_hint(connection, pod, deaths)
    )


def _text(connection: Connection, what: str, pod: str) -> str:
    return f"model {connection.model} of sidecar {connection.name} in pod {pod}: {what}"


def _hint(connection: Connection, pod: str, deaths: int) -> str:
    """What one that died said is in the log of the container before."""
    log = f"kubectl logs {pod} -c {connection.name}"
    return f"its last words: {log} --previous" if deaths else f"its log: {log}"
