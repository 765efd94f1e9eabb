# SPDX-License-Identifier: Apache-2.0
"""`imagekit pod`: runs a pod on this machine as a kubelet would."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from imagekit.cli.common import output_option, print_json
from imagekit.engines.run import choose_container_engine
from imagekit.pods.documents import load_data, load_documents
from imagekit.pods.logs import Log
from imagekit.pods.model import Port
from imagekit.pods.play import Options, play
from imagekit.pods.refuse import without_effect
from sidecars.check import problems_of


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
@click.option("--engine", type=click.Choice(["auto", "docker", "podman"]), default="auto")
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
        claims={name: _folder(path) for name, path in map(_pair, given["volume"])},
        ports=[_port(text) for text in given["publish"]],
        network=given["network"],
        gpus=given["gpus"],
    )
    return run_document(document, pod.name, engine, options, output)


def run_document(
    document: dict[str, Any], source: str, engine: str, options: Options, output: str
) -> int:
    """Run it, with logs where `output` says; returns the exit code."""
    stream = sys.stderr if output == "json" else sys.stdout
    found = choose_container_engine(engine)

    def log(names: Sequence[str]) -> Log:
        for problem in problems_of(document):
            say(f"warning: {problem}")
        for path in without_effect(document):
            say(f"{path} has no effect here")
        return Log(stream, list(names), colours=_is_coloured(stream))

    outcome = play(document, source, found, options, log, say)
    if output == "json":
        print_json(outcome.status)
    say(_summary(outcome.status["status"]))
    return outcome.exit_code


def say(text: str) -> None:
    click.echo(f"pod: {text}", err=True)


def _summary(status: dict[str, Any]) -> str:
    reason = f" ({status['reason']})" if "reason" in status else ""
    return f"{status['phase']}{reason}"


def _is_coloured(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _pair(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--volume {text!r} is not written CLAIM=DIR")
    return name, path


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise click.UsageError(f"--volume: {text!r} is no folder")
    return path.resolve()


def _port(text: str) -> Port:
    host, _, inner = text.rpartition(":")
    try:
        return Port(int(host or inner), int(inner))
    except ValueError:
        raise click.UsageError(f"--publish {text!r} is not written [HOST:]PORT") from None
