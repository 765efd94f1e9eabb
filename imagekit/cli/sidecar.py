# SPDX-License-Identifier: Apache-2.0
"""`imagekit sidecar`: model servers into pods, as YAML from stdin or a file to stdout."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from inspect import signature
from typing import Any, TextIO, TypeVar

import click
import yaml

from imagekit.cli.alone import alone, run_alone
from imagekit.cli.common import output_option, print_json
from imagekit.cli.pods import claims_of
from imagekit.errors import ImagekitError
from imagekit.pods.documents import load_data
from imagekit.pods.model import Port
from imagekit.pods.play import Options
from sidecars.attaching import attach
from sidecars.check import problems_of
from sidecars.engines import ENGINES, engine_class
from sidecars.errors import SidecarError
from sidecars.files import ModelFiles
from sidecars.render import render
from sidecars.sidecar import Engine, SecretKey, Sidecar
from sidecars.weights.lock import lock_files

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--model", {"required": True, "help": "What the server serves."}),
    ("--served-name", {"help": "What clients call it."}),
    ("--image", {"help": "The server's, pinned by version or digest."}),
    ("--name", {"help": "Of the server's container."}),
    ("--port", {"type": int, "help": "Where the server listens."}),
    ("--gpu", {"type": int, "help": "How many; 0 for the CPU."}),
    ("--gpu-resource", {"help": "What Kubernetes calls them."}),
    ("--cpu", {"help": "A quantity such as 4."}),
    ("--memory", {"help": "A quantity such as 16Gi."}),
    ("--shm", {"help": "Size of /dev/shm, counted in the limit."}),
    ("--weights", {"help": "Size of the weights; time and disk space follow from it."}),
    ("--speed", {"help": "Bytes per second at which weights arrive."}),
    ("--startup-timeout", {"type": int, "help": "Seconds until the model has to answer."}),
    (
        "--store",
        {"help": "Keeps the weights: claim:NAME, image:REFERENCE or path:DIR of the node."},
    ),
    ("--volume", {"multiple": True, "help": "PATH=VOLUME, read-only; a volume is as of --store."}),
    ("--files", {"help": "Where a step brings the model from: hf://, oci://, s3://, https://..."}),
    ("--lock", {"type": click.File(), "help": "Of --files, as `imagekit sidecar lock` wrote it."}),
    ("--include", {"multiple": True, "help": "Of --files only these, such as '*.safetensors'."}),
    ("--adapter", {"multiple": True, "help": "NAME=SOURCE, brought as --files is."}),
    ("--adapter-lock", {"multiple": True, "help": "NAME=FILE, a lock of that adapter's source."}),
    ("--fetch-env", {"multiple": True, "help": "NAME=VALUE, in the step that brings files."}),
    ("--fetch-secret", {"multiple": True, "help": "VARIABLE=SECRET/KEY, in that step."}),
    ("--inputs", {"help": "URI of the task's inputs; on Flyte '{{.input}}'."}),
    ("--env", {"multiple": True, "help": "NAME=VALUE, in the server."}),
    ("--secret", {"multiple": True, "help": "VARIABLE=SECRET/KEY, in the server."}),
    ("--api-key", {"help": "SECRET/KEY that the server asks its clients for."}),
    ("--hf-token", {"help": "SECRET/KEY of a token for the hub; SECRET/KEY? if it may lack."}),
    ("--ngc-api-key", {"help": "SECRET/KEY for NVIDIA's registry."}),
    ("--user", {"type": int, "help": "The uid that the server runs as."}),
    ("--pull-secret", {"multiple": True, "help": "A secret to pull images with."}),
    (
        "--gate",
        {"type": click.Choice(["runtime", "inject", "probe"]), "help": "What holds the task back."},
    ),
    ("--gate-image", {"help": "Has our runtime, where the task's image has not."}),
    ("--native/--ordinary", {"default": None, "help": "Ordinary: for clusters before 1.29."}),
    ("--set", {"multiple": True, "help": "KEY=VALUE, a setting of the engine; for vLLM any flag."}),
)
_ENGINES_SECRETS = ("hf_token", "ngc_api_key")
_VOLUMES: dict[str, Callable[[str], dict[str, Any]]] = {
    "claim": lambda name: {"persistentVolumeClaim": {"claimName": name}},
    "image": lambda reference: {"image": {"reference": reference}},
    "path": lambda folder: {"hostPath": {"path": folder, "type": "Directory"}},
}


def _sidecar_options(function: Function) -> Function:
    for name, settings in reversed(_OPTIONS):
        function = click.option(name, **settings)(function)
    engine = click.argument("engine", type=click.Choice(list(ENGINES)))
    return engine(function)


@click.group(epilog="Example: imagekit sidecar attach vllm --pod pod.yaml --model org/model")
def command() -> None:
    """Put model servers next to tasks, in their pods."""


@command.command("attach", epilog="Example: imagekit sidecar attach vllm --model m --pod pod.yaml")
@click.option("--pod", type=click.File(), default="-", help="The pod; stdin by default.")
@click.option("--primary", help="The container that runs the task.")
@click.option("--gpus-add-up", is_flag=True, help="The task has GPUs too.")
@output_option
@_sidecar_options
def attach_command(
    pod: Any, primary: str | None, gpus_add_up: bool, output: str, **options: Any
) -> None:
    """Print a pod with a server of kind ENGINE in it, as YAML."""
    given = _load(pod)
    made = _told(lambda: attach(given, _sidecar(options), primary, gpus_add_up=gpus_add_up))
    _print(made, output)


@command.command("render", epilog="Example: imagekit sidecar render ollama --model llama3.2")
@output_option
@_sidecar_options
def render_command(output: str, **options: Any) -> None:
    """Print what `attach` would add to a pod: lists of its spec, and the task's variables."""
    task = {"name": "primary", "image": options["gate_image"] or "TASK_IMAGE"}
    parts = _told(lambda: render(_sidecar(options), task))
    lists = {
        "initContainers": [
            *parts.before,
            *([parts.server] if parts.server.get("restartPolicy") else []),
            *parts.steps,
        ],
        "containers": [] if parts.server.get("restartPolicy") else [parts.server],
        "volumes": parts.volumes,
        "imagePullSecrets": parts.pull_secrets,
        "env": parts.environment,
        "volumeMounts": parts.mounts,
    }
    _print({key: list(members) for key, members in lists.items() if members}, output)


@command.command("lock", epilog="Example: imagekit sidecar lock hf://org/model > model.lock")
@click.argument("source")
@click.option("--include", multiple=True, help="Only these files, such as '*.safetensors'.")
@click.option("--timeout", type=float, default=3600, show_default=True, help="In seconds.")
def lock_command(source: str, include: tuple[str, ...], timeout: float) -> None:
    """Print a lock of the model files at SOURCE: the exact version, with sizes and sha256.

    Tokens and addresses are the environment's: HF_TOKEN, HF_ENDPOINT, DOCKER_AUTH_CONFIG, AWS_...
    """
    with tempfile.TemporaryDirectory(prefix="imagekit-") as scratch:
        until = time.monotonic() + timeout
        say = partial(click.echo, err=True)
        print_json(_told(lambda: lock_files(source, include, scratch, os.environ, until, say)))


@command.command("up", epilog="Example: imagekit sidecar up vllm --model org/model --gpu 0")
@click.option("--secret-from", multiple=True, help="NAME=DIR or FILE.yaml, a Secret.")
@click.option("--claim", multiple=True, help="NAME=DIR, for a persistent volume claim.")
@click.option("--gpus", help="For the container engine's --gpus; `none` does without.")
@click.option("--on", type=click.Choice(["docker", "podman"]), default="docker")
@_sidecar_options
def up_command(
    secret_from: tuple[str, ...],
    claim: tuple[str, ...],
    gpus: str | None,
    on: str,
    **options: Any,
) -> int:
    """Run a server of kind ENGINE here, until Ctrl-C, and print the variables of its clients.

    They are printed when the model answers. Without --gate-image a startup probe waits for it.
    """
    if options["gate"] is None and options["gate_image"] is None:
        options["gate"] = "probe"
    sidecar = _told(lambda: _sidecar(options))
    document = _told(lambda: attach(alone(sidecar), sidecar))
    return run_alone(
        document,
        sidecar,
        on,
        Options(
            data=load_data("Secret", secret_from),
            claims=claims_of(claim),
            ports=[Port(sidecar.server_port, sidecar.server_port)],
            gpus=gpus,
        ),
    )


@command.command("check", epilog="Example: imagekit sidecar check pod.yaml")
@click.argument("pod", type=click.File())
@output_option
def check_command(pod: Any, output: str) -> None:
    """Find what would be wrong with a pod, also what the API server accepts in silence."""
    problems = problems_of(_load(pod))
    if output == "json":
        print_json({"problems": problems})
    else:
        click.echo("\n".join(problems), nl=bool(problems))
    if problems:
        raise ImagekitError(f"{pod.name}: {len(problems)} problems")


def _load(stream: Any) -> dict[str, Any]:
    try:
        document = yaml.safe_load(stream)
    except yaml.YAMLError as error:
        raise ImagekitError(f"reading {stream.name}: {error}") from error
    if not isinstance(document, dict):
        raise ImagekitError(f"reading {stream.name}: this is no pod")
    return document


def _print(document: dict[str, Any], output: str) -> None:
    if output == "json":
        print_json(document)
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


def _told(make: Callable[[], Any]) -> Any:
    """The library's errors, as the program shows them."""
    try:
        return make()
    except SidecarError as error:
        raise ImagekitError(error.message, hint=error.hint) from error


def _sidecar(options: dict[str, Any]) -> Sidecar:
    given = {name: value for name, value in options.items() if value not in (None, ())}
    for name in ("api_key", *_ENGINES_SECRETS):
        if name in given:
            given[name] = _secret(given[name])
    if "store" in given:
        given["store"] = _volume(given["store"])
    given["volumes"] = {path: _volume(text) for path, text in _pairs(given.pop("volume", ()))}
    given["adapters"] = _adapters(given.pop("adapter", ()), given.pop("adapter_lock", ()))
    given |= _files(given)
    given["env"] = dict(_pairs(given.get("env", ())))
    given["fetch_env"] = dict(_pairs(given.get("fetch_env", ())))
    given["fetch_secrets"] = {
        name: _secret(text) for name, text in _pairs(given.pop("fetch_secret", ()))
    }
    given["secrets"] = {name: _secret(text) for name, text in _pairs(given.pop("secret", ()))}
    given["pull_secrets"] = given.pop("pull_secret", ())
    kind = given.pop("engine")
    settings = {name.replace("-", "_"): text for name, text in _pairs(given.pop("set", ()))}
    settings |= {name: given.pop(name) for name in _ENGINES_SECRETS if name in given}
    return Sidecar(engine=_engine(kind, settings), **given)


def _files(given: dict[str, Any]) -> dict[str, Any]:
    """The model's files, of the three options that describe them."""
    source, lock, include = (given.pop(name, None) for name in ("files", "lock", "include"))
    if source is None:
        if lock or include:
            raise click.UsageError("--lock and --include belong to --files")
        return {}
    pins = None if lock is None else _lock(lock, "--lock")
    return {"files": ModelFiles(source=source, include=include or (), lock=pins)}


def _adapters(sources: Iterable[str], locks: Iterable[str]) -> dict[str, ModelFiles]:
    files = dict(_pairs(locks))
    adapters = {
        name: ModelFiles(source=source, lock=_lock_at(files.pop(name, None)))
        for name, source in _pairs(sources)
    }
    if files:
        raise click.UsageError(f"--adapter-lock {', '.join(files)}: there is no such --adapter")
    return adapters


def _lock_at(path: str | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return _lock(stream, "--adapter-lock")
    except OSError as error:
        raise click.UsageError(f"--adapter-lock {path}: {error.strerror}") from error


def _lock(stream: TextIO, option: str) -> dict[str, Any]:
    try:
        pins = json.load(stream)
    except ValueError as error:
        raise click.UsageError(f"{option} {stream.name}: not JSON: {error}") from error
    if not isinstance(pins, dict):
        raise click.UsageError(f"{option} {stream.name}: not a JSON object")
    return pins


def _engine(kind: str, settings: dict[str, Any]) -> Engine:
    """Fields of the engine by their names; what vLLM has no field for is its own flag."""
    made = engine_class(kind)
    known = {name: each.annotation for name, each in signature(made).parameters.items()}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name in known:
            is_text = str(known[name]).startswith("str") or not isinstance(value, str)
            values[name] = value if is_text else _typed(name, value)
        elif "arguments" in known:
            values.setdefault("arguments", {})[name] = _typed(name, value)
        else:
            there = ", ".join(known) or "none"
            raise ImagekitError(f"{kind} has no setting {name!r}; there are: {there}")
    return made(**values)


def _typed(name: str, text: str) -> Any:
    """As YAML types it; a text that begins with a task's input is no mapping of YAML's."""
    if text.startswith("{{"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        said = " ".join(str(getattr(error, "problem", error)).split())
        raise ImagekitError(
            f"--set {name}: {said}", hint="a text with braces or colons in it needs YAML's quotes"
        ) from error


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{text!r} is not written NAME=VALUE")
        yield name, value


def _secret(text: str) -> SecretKey:
    secret, _, key = text.removesuffix("?").partition("/")
    if not secret or not key:
        raise click.UsageError("a secret is written SECRET/KEY: its name and its key, not its text")
    return SecretKey(secret, key, optional=text.endswith("?"))


def _volume(text: str) -> dict[str, Any]:
    kind, _, name = text.partition(":")
    if kind not in _VOLUMES or not name:
        raise click.UsageError(f"volume {text!r} is none of claim:NAME, image:REF, path:DIR")
    return _VOLUMES[kind](name)
