# SPDX-License-Identifier: Apache-2.0
"""The step before the server: the task's inputs, the model's files, the server's configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from .errors import FilesError, SidecarError
from .references import FILE, FOLDER, resolved
from .steps import WORK
from .weights.bring import bring
from .weights.delegate import command


def prepare(
    environment: Mapping[str, str],
    inputs: str | None,
    seconds: float,
    say: Callable[[str], None],
    folder: str = FOLDER,
) -> None:
    """Do what the variable of the step says, once each. Raises SidecarError."""
    until = time.monotonic() + seconds
    work = json.loads(environment[WORK])
    if inputs is not None:
        _deliver_inputs(inputs, folder, until)
    for item in work.get("downloads", ()):
        try:
            bring(item, item["into"], environment, until, say)
        except OSError as error:
            raise FilesError(f"writing {item['into']}: {error.strerror or error}") from error
    if "configuration" in work:
        _write_configuration(work["configuration"], f"{folder}/{FILE}")


def _deliver_inputs(uri: str, folder: str, until: float) -> None:
    if uri.startswith("{{"):
        raise SidecarError(
            f"nobody filled {uri} in", hint="on clusters without Flyte, inputs is an URI"
        )
    left = max(1.0, until - time.monotonic())
    words = command("inputs", "--inputs", uri, folder)
    settings = {**os.environ, "TMPDIR": folder}
    try:
        done = subprocess.run(words, check=False, timeout=left, env=settings)
    except subprocess.TimeoutExpired:
        raise FilesError("the task's inputs did not come in their time") from None
    if done.returncode:
        raise FilesError("the task's inputs could not be fetched: see the lines above")


def _write_configuration(configuration: Mapping[str, Any], inputs_file: str) -> None:
    """JSON, which YAML is a superset of."""
    with open(inputs_file, encoding="utf-8") as file:
        inputs = json.load(file)
    text = json.dumps(resolved(configuration["values"], inputs), indent=2)
    with open(configuration["path"], "w", encoding="utf-8") as file:
        file.write(text + "\n")
    sys.stderr.write(f"wrote {configuration['path']}\n")
