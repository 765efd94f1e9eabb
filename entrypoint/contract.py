# SPDX-License-Identifier: Apache-2.0
"""The command line of the runtime: its writer and its reader, together.

    execute --inputs URI --output-prefix URI [options] [--resolver NAME] -- RESOLVER_ARGUMENTS
    map-execute ... -- vars a,b resolver NAME RESOLVER_ARGUMENTS
    fast-execute [--additional-distribution URI] [--dest-dir DIRECTORY] -- COMMAND...
    call [options] MODULE:FUNCTION name=value...       (or --inputs FILE.json)
    fetch URI TARGET                                   a copy of a file or folder
    list URI                                           the objects at a place in a store, as JSON
    inputs --inputs URI DIRECTORY                      a task's inputs as files
    wait [--timeout SECONDS] FILE | tcp://HOST:PORT | http://...
    version
    PROGRAM ARGUMENTS...                               anything else is run under the supervisor

`pyflyte-execute` is `execute` under Flyte's rule of exit codes, and so on for the other two. The
options come before `--`, as `--name value` or `--name=value`; `{{.template}}` left unfilled, and an
empty value, are the same as none. Each option that takes a value may come from the environment
instead: `--output-prefix` is `IMAGEKIT_OUTPUT_PREFIX`, and so on for all of them.

What `call` returns: with `--output-prefix`, outputs.pb and outputs.json are written there, and
standard output is the task's own. Without it the outputs are one line of JSON on standard output,
after all that the task printed. In JSON a file is `{"path": URI}`.

`fast-execute` is the command after its `--`, read by these same rules, with its own two options and
the digest added, and with `--dynamic-*` filled, as the tasks that a dynamic task makes need them.
"""

from __future__ import annotations

from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_COMMON = ("inputs", "output-prefix", "raw-output-data-prefix", "grace", "timeout")
_TASK = (
    *_COMMON,
    "termination-log",
    "resolver",
    "checkpoint-path",
    "prev-checkpoint",
    "dynamic-addl-distro",
    "dynamic-dest-dir",
    "pickle-digest",
    "require-digest",
)
OPTIONS = {
    "call": (*_COMMON, "termination-log", "checkpoint-path", "prev-checkpoint"),
    "execute": _TASK,
    "map-execute": (*_TASK, "max-concurrency"),
    "fast-execute": ("additional-distribution", "dest-dir", "bundle-digest"),
    "inputs": ("inputs",),
    "wait": ("timeout",),
}
_PLAIN = ("call", "fetch", "inputs", "list", "wait")
SWITCHES = {"execute": ("test",), "map-execute": ("test",)}
_TARGETS = {
    "fetch": (2, "URI TARGET"),
    "inputs": (1, "one DIRECTORY"),
    "list": (1, "one URI of an object store"),
    "wait": (1, "one FILE, tcp://HOST:PORT or http://..."),
}
DEFAULT_GRACE_SECONDS = 25.0
DEFAULT_TERMINATION_LOG = "/dev/termination-log"
FLYTE = "pyflyte-"
LEGACY_MAP_RESOLVER = "flytekit.core.legacy_map_task.MapTaskResolver"
INDEX_NAME = "BATCH_JOB_ARRAY_INDEX_VAR_NAME"
INDEX_OFFSET = "BATCH_JOB_ARRAY_INDEX_OFFSET"
PACKAGES = "IMAGEKIT_RUNTIME_PACKAGES"
"""Names the variable that lists what is installed at the start, a `pinned` line for each."""
FLYTE_PACKAGES = "_F_RUNTIME_PACKAGES"
INSTALLER = "IMAGEKIT_RUNTIME_INSTALLER"


class Command:
    """What was asked for. `options` has every option of the verb; None where not given.

    `worker` is not None where one of several processes shares the output prefix with the others.
    """

    __slots__ = ("arguments", "flyte", "options", "switches", "verb", "worker")

    def __init__(self, verb: str, arguments: list[str], *, flyte: bool = False) -> None:
        self.verb = verb
        self.flyte = flyte
        self.arguments = arguments
        self.options: dict[str, str | None] = {}
        self.switches: set[str] = set()
        self.worker: str | None = None

    @property
    def grace_seconds(self) -> float:
        """How long a task may go on after SIGTERM; a little less than Kubernetes gives the pod."""
        given = self._seconds("grace")
        return DEFAULT_GRACE_SECONDS if given is None else given

    @property
    def timeout_seconds(self) -> float | None:
        """How long a task may take before it is sent SIGTERM."""
        return self._seconds("timeout")

    def _seconds(self, option: str) -> float | None:
        text = self.options.get(option)
        if text is None:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise UsageError(f"--{option} is a number of seconds, not {text!r}")
        return seconds


running: list[Command] = []
"""The command that this process performs, for the few who can't be handed it: its own resolvers,
which have Flyte's signature, and the task, when it asks for its context."""


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Command:
    if not argv:
        raise UsageError("nothing to run; see --help")
    word = argv[0]
    verb = word.removeprefix(FLYTE)
    if verb == "fast-execute":
        return _parse_fast(argv[1:], environ)
    if verb in ("execute", "map-execute") or word in _PLAIN:
        command = Command(verb, [], flyte=word != verb)
        _read_options(command, argv[1:], environ)
        _check(command)
        if first(environ, "FLYTE_INTERNAL_DIST_ERROR_STRATEGY", "_F_DES"):
            command.worker = first(environ, "FLYTE_INTERNAL_WORKER_NAME", "_F_WN")
        if verb == "map-execute" and command.options["resolver"] == LEGACY_MAP_RESOLVER:
            _add_index(command, environ)
        return command
    if word in ("--help", "-h", "help", "version", "--version"):
        return Command("version" if "version" in word else "help", [])
    if word.startswith("-"):
        raise UsageError(f"{word} is neither a command nor a program; see --help")
    program = Command("program", list(argv))
    for name in ("grace", "timeout"):
        program.options[name] = environ.get(variable(name)) or None
    _check_seconds(program)
    return program


def _parse_fast(words: Sequence[str], environ: Mapping[str, str]) -> Command:
    fast = Command("fast-execute", [])
    _read_options(fast, words, environ)
    if not fast.arguments:
        raise UsageError("fast-execute needs a command after --")
    command = parse(fast.arguments, environ)
    if "additional-distribution" in command.options:
        raise UsageError("fast-execute inside fast-execute")
    if command.verb == "program":
        command.arguments = _with_dynamic_options(command.arguments, fast)
    for option, source in _DYNAMIC.items():
        if option in command.options and command.options[option] is None:
            command.options[option] = fast.options[source]
    command.options.update(fast.options)
    return command


_DYNAMIC = {"dynamic-addl-distro": "additional-distribution", "dynamic-dest-dir": "dest-dir"}


def _add_index(command: Command, environ: Mapping[str, str]) -> None:
    """Flyte's older map tasks share an output prefix; without an index, the run itself fails."""
    try:
        index = map_index(environ)
    except UsageError:
        return
    command.options["output-prefix"] = f"{command.options['output-prefix']}/{index}"


def map_index(environ: Mapping[str, str]) -> int:
    """Which element of its inputs a map task's process computes."""
    name = environ.get(INDEX_NAME)
    if not name:
        raise UsageError(f"map-execute needs {INDEX_NAME}, the name of the index's variable")
    try:
        index = int(environ.get(INDEX_OFFSET) or "0") + int(environ[name])
    except KeyError:
        raise UsageError(f"{INDEX_NAME} names {name}, which is not set") from None
    except ValueError:
        raise UsageError(f"{name} and {INDEX_OFFSET} are not both whole numbers") from None
    if index < 0:
        raise UsageError(f"{name} and {INDEX_OFFSET} make {index}, which is no index")
    return index


def _with_dynamic_options(words: list[str], fast: Command) -> list[str]:
    """A launcher (mpirun) that starts the task's command itself gets what that one needs."""
    if "--resolver" not in words:
        return words
    at = words.index("--resolver")
    options = _written({option: fast.options[source] for option, source in _DYNAMIC.items()})
    return [*words[:at], *options, *words[at:]]


def first(environ: Mapping[str, str], *names: str) -> str:
    """The value under the first of these names that has one: Flyte's long name wins."""
    return next((environ[name] for name in names if environ.get(name)), "")


def variable(option: str) -> str:
    """The environment variable that is an option's twin."""
    return "IMAGEKIT_" + option.upper().replace("-", "_")


def _read_options(command: Command, words: Sequence[str], environ: Mapping[str, str]) -> None:
    names = OPTIONS.get(command.verb, ())
    command.options = {name: _given(environ.get(variable(name), "")) for name in names}
    remaining = list(reversed(words))
    while remaining:
        word = remaining.pop()
        if word == "--":
            command.arguments += reversed(remaining)
            return
        if not word.startswith("--"):
            command.arguments.append(word)
            continue
        name, has_value, value = word[2:].partition("=")
        if name in SWITCHES.get(command.verb, ()) and not has_value:
            command.switches.add(name)
            continue
        if name not in names:
            from .suggest import suggestion

            known = [*names, *SWITCHES.get(command.verb, ())]
            raise UsageError(f"{command.verb} has no option --{name}{suggestion(name, known)}")
        if not has_value:
            if not remaining:
                raise UsageError(f"--{name} needs a value")
            value = remaining.pop()
        command.options[name] = _given(value)


def _given(value: str) -> str | None:
    """None for what a template engine left unfilled."""
    if value in ("", '""') or (value.startswith("{{") and value.endswith("}}")):
        return None
    return value


def _check(command: Command) -> None:
    _check_seconds(command)
    if command.verb in _PLAIN:
        _check_target(command)
        return
    for name in ("inputs", "output-prefix"):
        if command.options[name] is None:
            raise UsageError(f"{command.verb} needs --{name}")
    if not command.arguments and "test" not in command.switches:
        raise UsageError(f"{command.verb} needs the resolver's arguments after --")


def _check_seconds(command: Command) -> None:
    _ = command.grace_seconds, command.timeout_seconds


def _check_target(command: Command) -> None:
    if command.verb in _TARGETS:
        count, text = _TARGETS[command.verb]
        if len(command.arguments) != count:
            raise UsageError(f"{command.verb} needs {text}")
        if command.verb == "inputs" and command.options["inputs"] is None:
            raise UsageError("inputs needs --inputs")
        return
    if not command.arguments:
        raise UsageError("call needs MODULE:FUNCTION")
    if ":" not in command.arguments[0]:
        raise UsageError(f"{command.arguments[0]} is not MODULE:FUNCTION")


def call_arguments(
    target: str,
    values: Iterable[str] = (),
    *,
    inputs: str | None = None,
    output_prefix: str | None = None,
) -> list[str]:
    """The words that make the runtime call `MODULE:FUNCTION` with `name=value` texts."""
    options = _written({"inputs": inputs, "output-prefix": output_prefix})
    return ["call", *options, "--", target, *values]


def execute_arguments(
    resolver_arguments: Iterable[str],
    *,
    inputs: str,
    output_prefix: str,
    raw_output_prefix: str | None = None,
    resolver: str | None = None,
) -> list[str]:
    """The words that make the runtime execute a task as Flyte's backend would."""
    options = _written(
        {
            "inputs": inputs,
            "output-prefix": output_prefix,
            "raw-output-data-prefix": raw_output_prefix,
            "resolver": resolver,
        }
    )
    return ["execute", *options, "--", *resolver_arguments]


def pinned(name: str, version: str, sha256: Iterable[str]) -> str:
    """A line of the variable `PACKAGES`: one version of a package, and the files it may be."""
    return " ".join([f"{name}=={version}", *(f"--hash=sha256:{each}" for each in sha256)])


def _written(options: Mapping[str, str | None]) -> list[str]:
    return [
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name}", value)
    ]
