# SPDX-License-Identifier: Apache-2.0
"""Any server that speaks OpenAI's API: its command line is the caller's, its port is ours."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError
from ..references import as_path, has_reference
from ..sidecar import Server, Sidecar
from .variables import literal, variables

PORT, MODEL = "{port}", "{model}"
STORE = "/model-store"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAI:
    """`{port}` in an argument, or the variable `port_variable`, tells the server its port.

    `{model}` is the model, or the folder of the sidecar's `files`; `{{.inputs.NAME}}` the path of
    an input that is a file or folder.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    port_variable: str | None = None
    key_variable: str | None = None
    """The variable from which this server takes its API key."""
    health_path: str = "/health"
    store_path: str | None = None
    """Where the server keeps what it downloads, if it does."""

    @property
    def kind(self) -> str:
        return "openai"

    @property
    def default_port(self) -> int:
        return 8000

    @property
    def default_image(self) -> str | None:
        return None

    def serve(self, sidecar: Sidecar) -> Server:
        told = any(PORT in word for word in (*self.command, *self.args))
        if not told and self.port_variable is None:
            raise OptionError(
                ["the server is not told its port"],
                hint="write {port} in its arguments, or name its variable by port_variable",
            )
        if sidecar.api_key and not self.key_variable:
            raise OptionError(["api_key needs key_variable: how the server takes its key"])
        if has_reference([*self.command, *self.args]) and sidecar.inputs is None:
            raise OptionError(["it names a task's input, and the sidecar has no `inputs`"])
        if sidecar.adapters:
            raise OptionError(["adapters: how this server takes them is not known"])
        port = str(sidecar.server_port)
        store = self.store_path or (STORE if sidecar.files else None)
        model = f"{store}/{sidecar.folder(sidecar.files)}" if sidecar.files else sidecar.model

        def word(text: str) -> str:
            return literal(as_path(text).replace(PORT, port).replace(MODEL, model))

        named = {self.port_variable: port} if self.port_variable else {}
        secret = (
            (sidecar.api_key.variable(self.key_variable),)
            if sidecar.api_key and self.key_variable
            else ()
        )
        return Server(
            command=tuple(map(word, self.command)),
            args=tuple(map(word, self.args)),
            environment=(*variables(named), *secret),
            store_path=store,
            health_path=self.health_path,
            live_path=self.health_path,
        )
