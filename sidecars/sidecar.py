# SPDX-License-Identifier: Apache-2.0
"""What a sidecar is: a model server's description, and what its engine makes of it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Protocol

from .errors import OptionError
from .files import FOLDER, QUERY, ModelFiles, file_problems
from .quantity import format_bytes, parse_quantity

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNKNOWN_WEIGHTS_SECONDS = 1800
"""How long a server may take to start when nobody said how big its weights are."""
STARTUP_SECONDS = 180
"""What a server takes besides reading its weights: imports, compilation, graph capture."""
_SECRET_NAMES = re.compile(r".*(_TOKEN|_API_KEY|_ACCESS_KEY|_SECRET|_PASSWORD)")
_FETCH_SECRETS = ("DOCKER_AUTH_CONFIG", "HTTP_AUTHORIZATION", QUERY)
_LONGEST_NAME = 50  # "-peft-shm" and the like are appended


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of a Kubernetes Secret. If optional, the server starts without it."""

    secret: str
    key: str
    optional: bool = False

    def variable(self, name: str) -> dict[str, Any]:
        """As an environment variable of a container."""
        reference: dict[str, Any] = {"name": self.secret, "key": self.key}
        if self.optional:
            reference["optional"] = True
        return {"name": name, "valueFrom": {"secretKeyRef": reference}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What an engine makes of a sidecar: everything that differs between engines."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: tuple[dict[str, Any], ...] = ()
    store_path: str | None = None
    """Where downloaded weights land; None if nothing is downloaded."""
    health_path: str = "/health"
    live_path: str = "/health"
    health_port: int | None = None
    """Where these are asked for, if not on the server's port."""
    startup_command: tuple[str, ...] = ()
    """Run in the server for the startup probe, where no path says that the model is there."""
    shm: str | None = None
    user: int | None = None
    group: int | None = None
    drain_seconds: int = 0
    """How long it lets requests end that are under way when it is told to stop."""
    copies: bool = False
    """It copies the files that a step brings into a store of its own."""
    fetches: bool = False
    """A step of our own runtime has to fetch the model once the server runs."""
    fetch_environment: tuple[dict[str, Any], ...] = ()
    configuration: Mapping[str, Any] | None = None
    """A file that the step before the server writes: `path`, and `values` as references.encoded."""
    stops_by: tuple[str, ...] = ()
    """What the image starts, for a cluster where a shell has to start and stop it."""


class Engine(Protocol):
    """One kind of server. `kind` is the name in the table of engines, and its dialect."""

    @property
    def kind(self) -> str: ...
    @property
    def default_port(self) -> int: ...
    @property
    def default_image(self) -> str | None: ...

    def serve(self, sidecar: Sidecar) -> Server:
        """Raises OptionError where the sidecar asks for what this engine can't do."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A model server beside a task. Sizes are Kubernetes quantities, times are seconds."""

    engine: Engine
    model: str
    served_name: str | None = None
    """What clients call the model; its own name by default."""
    image: str | None = None
    """Pinned by digest or version; engines with a public image have a pinned default."""
    name: str = "model-server"
    port: int | None = None
    cpu: str = "4"
    memory: str = "16Gi"
    gpu: int = 1
    gpu_resource: str = "nvidia.com/gpu"
    shm: str | None = None
    """Size of /dev/shm, added to the memory limit; by default what the engine needs."""
    weights: str | None = None
    """Size of the weights: the time to start and the space on disk follow from it."""
    speed: str = "100Mi"
    """Bytes per second at which weights arrive."""
    startup_timeout: int | None = None
    """Seconds until the model has to answer, instead of what follows from `weights`."""
    store: Mapping[str, Any] | None = None
    """A volume source for downloaded weights, such as a claim; by default they go with the pod."""
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """More volumes of the server, read-only, by mount path."""
    files: ModelFiles | None = None
    """The model's files, which a step of our own brings before the server starts."""
    adapters: Mapping[str, ModelFiles] = field(default_factory=dict)
    """Adapters by name, brought in the same way."""
    fetch_secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    """Variables of that step: HF_TOKEN, AWS_ACCESS_KEY_ID, DOCKER_AUTH_CONFIG, ..."""
    fetch_env: Mapping[str, str] = field(default_factory=dict)
    """The same, where it is no secret: HF_ENDPOINT, AWS_ENDPOINT_URL, ..."""
    inputs: str | None = None
    """The URI of the task's inputs (inputs.pb or a JSON file); on Flyte `{{.input}}`."""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    """More variables of the server, from secrets."""
    api_key: SecretKey | None = None
    """The key that the server asks its clients for; the task gets it too."""
    pull_secrets: tuple[str, ...] = ()
    user: int | None = None
    gate: Literal["runtime", "inject", "probe"] = "runtime"
    """Who holds the task back: a step of our runtime, or a startup probe of the same length.

    With `inject` that step runs in the task's image, by its own Python, which gets our runtime as
    a file from `gate_image`.
    """
    gate_image: str | None = None
    """An image that holds our runtime, where the task's own does not."""
    native: bool = True
    """False for clusters before native sidecars: an ordinary container, which the task's
    entrypoint waits for and stops."""

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise OptionError([f"sidecar {self.name!r}: {problem}" for problem in problems])

    @property
    def pinned_image(self) -> str:
        return self.image or self.engine.default_image or ""

    @property
    def server_port(self) -> int:
        return self.engine.default_port if self.port is None else self.port

    @property
    def client_name(self) -> str:
        return self.served_name or self.model

    @property
    def weights_size(self) -> str | None:
        """A quantity: what is said, or what the locks of the files add up to."""
        return self.locked_size if self.weights is None else self.weights

    @property
    def locked_size(self) -> str | None:
        """What the locks of the files add up to, if all of them have one."""
        sizes = [each.size_bytes for each in self.fetched.values()]
        if not sizes or self.files is None or None in sizes:
            return None
        return format_bytes(sum(filter(None, sizes)))

    @property
    def fetched(self) -> dict[str, ModelFiles]:
        """Everything that a step brings, by its folder in the store."""
        found = {} if self.files is None else {self.folder(self.files): self.files}
        return found | {
            f"{self.adapters_folder}/{name}": files for name, files in sorted(self.adapters.items())
        }

    @property
    def adapters_folder(self) -> str:
        """One folder of all adapters, which no other set of adapters shares."""
        meant = "".join(f"{name} {self.adapters[name].folder} " for name in sorted(self.adapters))
        return f"{FOLDER}/adapters-{hashlib.sha256(meant.encode()).hexdigest()[:12]}"

    @staticmethod
    def folder(files: ModelFiles) -> str:
        return f"{FOLDER}/{files.folder}"

    @property
    def budget_seconds(self) -> int:
        """How long the model may take to answer for the first time."""
        if self.startup_timeout is not None:
            return self.startup_timeout
        if self.weights_size is None:
            return UNKNOWN_WEIGHTS_SECONDS
        reading = parse_quantity(self.weights_size) / parse_quantity(self.speed)
        return STARTUP_SECONDS + math.ceil(reading)

    def variable(self, suffix: str) -> str:
        """The name of a variable by which the task finds this server."""
        return variable_name(self.name, suffix)


def variable_name(name: str, suffix: str) -> str:
    return f"SIDECAR_{name.upper().replace('-', '_')}_{suffix}"


def is_pinned(image: str) -> bool:
    """By digest, or by a tag that names a version."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return bool(digest) or (bool(colon) and tag not in ("", "latest"))


def _problems(sidecar: Sidecar) -> Iterator[str]:
    if not LABEL.fullmatch(sidecar.name) or len(sidecar.name) > _LONGEST_NAME:
        yield f"its name has to be a DNS label of at most {_LONGEST_NAME} characters"
    if not sidecar.model:
        yield "model is empty"
    if not sidecar.pinned_image:
        yield f"image is missing: {sidecar.engine.kind} has none that is everybody's"
    for image in filter(None, (sidecar.pinned_image, sidecar.gate_image)):
        if not is_pinned(image):
            yield f"image {image!r} is not pinned: name a version or a digest"
    if not 0 < sidecar.server_port < 65536:
        yield f"port {sidecar.server_port} is not within 1 and 65535"
    yield from _step_problems(sidecar)
    yield from _file_problems(sidecar)
    yield from _number_problems(sidecar)
    yield from _environment_problems(sidecar)


def _step_problems(sidecar: Sidecar) -> Iterator[str]:
    needs_step = bool(sidecar.fetched or sidecar.inputs)
    if sidecar.gate == "probe" and sidecar.gate_image and not needs_step:
        yield "gate_image has no use with gate='probe'"
    if sidecar.gate == "probe" and needs_step and not sidecar.gate_image:
        yield "files and inputs need a step of our runtime: with gate='probe', from gate_image"
    if sidecar.gate == "inject" and not sidecar.gate_image:
        yield "gate='inject' needs gate_image, an image of ours that the runtime comes from"
    if not sidecar.native and sidecar.gate != "runtime":
        yield f"gate={sidecar.gate!r} has no use without native sidecars: the entrypoint waits"


def _file_problems(sidecar: Sidecar) -> Iterator[str]:
    for files in sidecar.fetched.values():
        yield from file_problems(files)
    for name in sidecar.adapters:
        if not LABEL.fullmatch(name):
            yield f"adapters: {name!r} is no DNS label"
    yield from _fetch_environment_problems(sidecar)
    if sidecar.inputs and sidecar.inputs.startswith("http") and "?" in sidecar.inputs:
        yield "inputs: a query may be a signature, which a pod's text is no place for"
    if sidecar.fetched and "image" in (sidecar.store or {}):
        yield "store is an image, which is read-only: nothing can be fetched into it"


def _fetch_environment_problems(sidecar: Sidecar) -> Iterator[str]:
    for name in sorted({*sidecar.fetch_secrets, *sidecar.fetch_env}):
        if not ENVIRONMENT_NAME.fullmatch(name):
            yield f"{name!r} is no name of an environment variable"
    for name in sorted(sidecar.fetch_env):
        if _SECRET_NAMES.fullmatch(name) or name in _FETCH_SECRETS:
            yield f"{name} belongs in fetch_secrets, not in fetch_env"


def _number_problems(sidecar: Sidecar) -> Iterator[str]:
    if sidecar.gpu < 0:
        yield f"gpu={sidecar.gpu} is negative"
    if sidecar.startup_timeout is not None and sidecar.startup_timeout <= 0:
        yield f"startup_timeout={sidecar.startup_timeout} leaves no time to start"
    amounts = {key: getattr(sidecar, key) for key in ("cpu", "memory", "shm", "weights", "speed")}
    given = {key: text for key, text in amounts.items() if text is not None}
    wrong = [problem for key, text in given.items() for problem in _quantity_problems(key, text)]
    yield from wrong or _weight_problems(sidecar)


def _weight_problems(sidecar: Sidecar) -> Iterator[str]:
    """A model that is bigger than what there is for it."""
    if sidecar.weights_size is None:
        return
    needed = parse_quantity(sidecar.weights_size)
    if sidecar.gpu == 0 and needed > parse_quantity(sidecar.memory):
        yield (
            f"without a GPU the weights need {format_bytes(needed)} of memory, and memory is"
            f" {sidecar.memory}"
        )
    room = ((sidecar.store or {}).get("emptyDir") or {}).get("sizeLimit")
    if room is not None and needed > parse_quantity(room):
        yield f"store has room for {room}, and the weights are {format_bytes(needed)}"
    locked = parse_quantity(sidecar.locked_size or "0")
    if locked > needed:
        yield f"weights are {sidecar.weights}, and the files' locks say {format_bytes(locked)}"


def _quantity_problems(key: str, text: str) -> Iterator[str]:
    try:
        value = parse_quantity(text)
    except ValueError as error:
        yield f"{key}: {error}"
        return
    if value <= Fraction(0):
        yield f"{key}={text!r} is not positive"


def _environment_problems(sidecar: Sidecar) -> Iterator[str]:
    for name in {*sidecar.env, *sidecar.secrets}:
        if not ENVIRONMENT_NAME.fullmatch(name):
            yield f"{name!r} is no name of an environment variable"
    for name in sorted(set(sidecar.env) & set(sidecar.secrets)):
        yield f"{name} is given both in env and in secrets"
    for name in sorted(sidecar.env):
        if _SECRET_NAMES.fullmatch(name):
            yield f"{name} belongs in secrets, not in env: a pod's text is no place for it"
    for path in sidecar.volumes:
        if not path.startswith("/") or ":" in path:
            yield f"volumes: {path!r} is no absolute mount path"
