# SPDX-License-Identifier: Apache-2.0
"""`imagekit pod`: runs a pod on this machine as a kubelet would."""

from __future__ import annotations

from typing import Any, TextIO

import click

from imagekit.cli.common import output_option
from imagekit.cli.pods import claims_of, port_of, run_document
from imagekit.pods.documents import load_data, load_documents
from imagekit.pods.play import Options


@click.group(epilog="Example: imagekit pod run pod.yaml")
def command() -> None:
    """Run pods here, without a cluster."""


@command.command("run", epilog="Example: imagekit sidecar attach vllm ... | imagekit pod run -")
@click.argument("pod", type=click.File())
@click.option("--secret", multiple=True, help="NAME=DIR or FILE.yaml; may be repeated.")
@click.option("--config-map", multiple=True, help="NAME=DIR or FILE.yaml; may be repeated.")
@click.option("--volume", multiple=True, help="CLAIM=DIR, for a persistent volume claim.")
@click.option("--publish", multiple=True, help="[HOST:]PORT of the pod, on 127.0.0.1.")
@click.option("--network", help="Of the engine's; by default one is made for the pod.")
@click.option("--gpus", help="For the engine's --gpus; `none` takes them from the pod.")
@click.option("--engine", type=click.Choice(["docker", "podman"]), default="docker")
@output_option
def run_command(pod: TextIO, engine: str, output: str, **given: Any) -> int:
    """Run the pod in a YAML file, - for stdin, to its end.

    stdout has what its containers say, each line behind its container's name; with --output json
    that goes to stderr, and stdout has the pod's final status. Ends with 0 if the pod succeeded.
    """
    document, beside = load_documents(pod.read(), pod.name)
    data = beside.laid_under(load_data("Secret", given["secret"]))
    options = Options(
        data=data.laid_under(load_data("ConfigMap", given["config_map"])),
        claims=claims_of(given["volume"]),
        ports=[port_of(text) for text in given["publish"]],
        network=given["network"],
        gpus=given["gpus"],
    )
    return run_document(document, pod.name, engine, options, output)
