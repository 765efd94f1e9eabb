# SPDX-License-Identifier: Apache-2.0
"""A program in a pod, by the exec call of the package `kubernetes`, which only this needs."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from typing import Any, final

from imagekit.buildkit.streams import Stream
from imagekit.errors import BuildError

_STDIN, _STDOUT, _STDERR, _ERROR = 0, 1, 2, 3


def pod_stream(
    name: str,
    namespace: str,
    command: Sequence[str],
    *,
    container: str | None = None,
    context: str | None = None,
) -> Stream:
    """Start `command` in a pod, with the user's own kubeconfig or the cluster's account.

    Raises BuildError where the package is missing or the cluster refuses.
    """
    try:
        client = importlib.import_module("kubernetes.client")
        config = importlib.import_module("kubernetes.config")
        stream = importlib.import_module("kubernetes.stream").stream
    except ImportError as error:
        raise BuildError(
            "kube-pod:// needs the package kubernetes", hint="pip install kubernetes"
        ) from error
    try:
        config.load_config(context=context)
        socket = stream(
            client.CoreV1Api().connect_get_namespaced_pod_exec,
            name,
            namespace,
            command=list(command),
            container=container,
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            binary=True,
            _preload_content=False,
        )
    except Exception as error:
        reason = getattr(error, "reason", None) or error
        raise BuildError(f"reaching pod {namespace}/{name}: {reason}") from error
    return PodStream(socket, f"{namespace}/{name}")


@final
class PodStream:
    """Over the client's websocket, whose calls are one at a time."""

    def __init__(self, socket: Any, pod: str) -> None:
        self._socket = socket
        self._pod = pod
        self._guard = threading.Lock()

    def read(self) -> bytes:
        while self._socket.is_open():
            with self._guard:
                self._socket.update(timeout=0.01)
                data = self._socket.read_channel(_STDOUT)
            if data:
                return data.encode() if isinstance(data, str) else bytes(data)
        said = self._socket.read_channel(_STDERR) or self._socket.read_channel(_ERROR)
        if said:
            text = said if isinstance(said, str) else said.decode(errors="replace")
            raise OSError(f"the program in pod {self._pod} ended: {text.strip()}")
        return b""

    def write(self, data: bytes) -> None:
        with self._guard:
            self._socket.write_channel(_STDIN, data)

    def close(self) -> None:
        self._socket.close()
