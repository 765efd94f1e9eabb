# SPDX-License-Identifier: Apache-2.0
"""A pod of a model server without a task: a container that does nothing stands for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from imagekit.cli.pods import run_document, say
from imagekit.pods.pause import PAUSE
from imagekit.pods.play import Options
from imagekit.pods.status import INTERRUPTED
from sidecars.sidecar import Sidecar

_HOLDER = "up"


def alone(sidecar: Sidecar) -> dict[str, Any]:
    """The pod that the sidecar is attached to. It runs until it is deleted."""
    holder = {"name": _HOLDER, "image": PAUSE, "lifecycle": {"stopSignal": "SIGKILL"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": sidecar.name},
        "spec": {"restartPolicy": "Never", "containers": [holder]},
    }


def run_alone(document: dict[str, Any], sidecar: Sidecar, engine: str, options: Options) -> int:
    """Until it is interrupted, which is its ordinary end; stdout has the variables of clients."""
    (holder,) = document["spec"]["containers"]

    def started() -> None:
        for variable in holder["env"]:
            if "value" in variable:
                click.echo(f"{variable['name']}={variable['value'].replace('$$', '$')}")
        say(f"the model answers; OpenAI's base URL is http://127.0.0.1:{sidecar.server_port}/v1")

    told = replace(options, when_started={_HOLDER: started})
    code = run_document(document, f"sidecar {sidecar.name}", engine, told, "none")
    return 0 if code == INTERRUPTED else code
