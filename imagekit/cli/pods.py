# SPDX-License-Identifier: Apache-2.0
"""What the verbs share that run pods: how their options are read, and what they print."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from imagekit.cli.common import print_json
from imagekit.engines.run import choose_container_engine
from imagekit.pods.logs import Log
from imagekit.pods.model import Port
from imagekit.pods.play import Options, play
from imagekit.pods.refuse import without_effect
from sidecars.check import problems_of


def run_document(
    document: dict[str, Any], source: str, engine: str, options: Options, output: str
) -> int:
    """Run it; returns the exit code. Logs go to stdout with `text` only, with `json` a status."""
    stream = sys.stdout if output == "text" else sys.stderr
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


def claims_of(texts: Iterable[str]) -> dict[str, Path]:
    """The folder of each claim, from CLAIM=DIR."""
    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not name or not equals or not Path(folder).is_dir():
            raise click.UsageError(f"{text!r} is not written CLAIM=DIR, with a folder")
        found[name] = Path(folder).resolve()
    return found


def port_of(text: str) -> Port:
    host, _, inner = text.rpartition(":")
    try:
        return Port(int(host or inner), int(inner))
    except ValueError:
        raise click.UsageError(f"--publish {text!r} is not written [HOST:]PORT") from None
