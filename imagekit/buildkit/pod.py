# SPDX-License-Identifier: Apache-2.0
"""A program in a pod, by the exec call of the package `kubernetes`, which only this needs.

The call becomes a websocket, in whose messages the first byte is a channel: standard input, output
and errors, and last a Status of Kubernetes' (its remote command subprotocol, version 4 or 5).
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import re
import select
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any, final

from imagekit.buildkit.streams import Stream
from imagekit.errors import BuildError

_STDIN, _STDOUT, _STDERR, _STATUS = range(4)
_DATA_OPCODES, _CLOSE_OPCODE = (1, 2), 8  # RFC 6455, section 5.2
_ERRORS_KEPT_BYTES = 4096
_LOOK_MILLISECONDS = 1000
_HANDSHAKE = re.compile(
    r"Handshake status (?P<status>\d+ [^-]*?) -.* -\+-\+- (?P<body>.*)", re.DOTALL
)


def pod_stream(
    name: str,
    namespace: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    container: str | None = None,
    context: str | None = None,
) -> Stream:
    """Start `command` in a pod, with the user's own kubeconfig or the cluster's account.

    Raises BuildError where the package is missing or the cluster refuses.
    """
    try:
        client = importlib.import_module("kubernetes.client")
        stream = importlib.import_module("kubernetes.stream").stream
    except ImportError as error:
        raise BuildError(
            "kube-pod:// needs the package kubernetes", hint="pip install kubernetes"
        ) from error
    api = client.CoreV1Api(client.ApiClient(_configuration(client, context, environ)))
    chosen = {} if container is None else {"container": container}
    try:
        opened = stream(
            api.connect_get_namespaced_pod_exec,
            name,
            namespace,
            command=list(command),
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            binary=True,
            _preload_content=False,
            **chosen,
        )
    except Exception as error:
        raise BuildError(
            f"reaching pod {namespace}/{name}: {_said(error)}",
            hint="is that pod running, and is its container the one with buildkitd?",
        ) from error
    return PodStream(opened.sock, f"{namespace}/{name}")


def _configuration(client: Any, context: str | None, environ: Mapping[str, str]) -> Any:
    """Of the user's kubectl, or else of the pod that this runs in; nobody else's is changed."""
    config = importlib.import_module("kubernetes.config")
    found = client.Configuration()
    try:
        config.load_kube_config(
            environ.get("KUBECONFIG") or "~/.kube/config",
            context=context,
            client_configuration=found,
        )
    except (config.ConfigException, OSError) as error:
        try:
            if context is None:
                config.load_incluster_config(client_configuration=found)
                return found
        except config.ConfigException:
            pass
        raise BuildError(
            f"kube-pod:// needs a configuration of kubectl: {error}",
            hint="KUBECONFIG names the file; `kubectl config get-contexts` lists what is in it",
        ) from error
    return found


def _said(error: Exception) -> str:
    """The cluster's own words, which the package keeps within those of its websocket."""
    text = str(getattr(error, "reason", None) or error)
    found = _HANDSHAKE.search(text)
    if found is None:
        return text[:500]
    body = found["body"]
    if body.startswith(("b'", 'b"')):
        body = ast.literal_eval(body).decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        body = json.loads(body)["message"]
    return f"{found['status']}: {body.strip()[:500]}"


@final
class PodStream:
    """Over the websocket, which two threads may not use at the same time under TLS."""

    def __init__(self, websocket: Any, pod: str) -> None:
        self._websocket = websocket
        self._pod = pod
        self._errors = b""
        self._guard = threading.Lock()

    def read(self) -> bytes:
        """Raises BuildError where the program failed."""
        while (message := self._message()) is not None:
            channel, data = message[:1], message[1:]
            if channel == bytes([_STDOUT]) and data:
                return data
            if channel == bytes([_STDERR]):
                self._errors = (self._errors + data)[-_ERRORS_KEPT_BYTES:]
            elif channel == bytes([_STATUS]):
                self._raise(data)
        self._raise(b"")
        return b""

    def write(self, data: bytes) -> None:
        """Raises OSError where the connection has ended, which the other thread may find first."""
        with self._guard:
            try:
                self._websocket.send_binary(bytes([_STDIN]) + data)
            except Exception as error:  # the package's own class
                raise OSError(f"the connection to {self._pod} has ended") from error

    def close(self) -> None:
        # Not `close`, which waits for the other side to agree.
        self._websocket.shutdown()

    def _message(self) -> bytes | None:
        """The next one; None at the end."""
        while self._websocket.connected:
            if not self._waits():
                continue
            with self._guard:
                try:
                    opcode, frame = self._websocket.recv_data_frame(True)
                except Exception:  # noqa: BLE001 - the package's own class for a connection's end
                    return None
            if opcode == _CLOSE_OPCODE:
                return None
            if frame.data and opcode in _DATA_OPCODES:
                return bytes(frame.data)
        return None

    def _waits(self) -> bool:
        """Whether something can be read, after a moment at most."""
        connection = self._websocket.sock
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
        except (OSError, TypeError, ValueError):
            return True  # closed meanwhile
        return bool(poll.poll(_LOOK_MILLISECONDS))

    def _raise(self, status: bytes) -> None:
        """What the program said last, or else the cluster; nothing where it went well."""
        said = self._errors.decode(errors="replace").strip()
        with contextlib.suppress(ValueError, AttributeError):
            found = json.loads(status)
            if found.get("status") != "Success":
                said = said or str(found.get("message"))
        if said:
            raise BuildError(f"the program in pod {self._pod} ended: {said}")
