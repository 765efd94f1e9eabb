# SPDX-License-Identifier: Apache-2.0
"""The command line of the runtime: its writer and its reader, together.

    execute --inputs URI --output-prefix URI [options] [--resolver NAME] -- RESOLVER_ARGUMENTS
    call [options] MODULE:FUNCTION name=value...       (or --inputs FILE.json)
    version
    PROGRAM ARGUMENTS...                               anything else is run under the supervisor

`pyflyte-execute` is `execute` under Flyte's rule of exit codes. `fast-execute` and `map-execute`
(and `pyflyte-...`) are known and refused. Options come before `--`, as `--name value` or
`--name=value`; `{{.template}}` left unfilled, and an empty value, are the same as none. Each option
that takes a value may come from the environment instead: `--output-prefix` is
`IMAGEKIT_OUTPUT_PREFIX`, and so on for all of them.

What `call` returns: with `--output-prefix`, outputs.pb and outputs.json are written there, and
standard output is the task's own. Without it the outputs are one line of JSON on standard output,
after all that the task printed. In JSON a file is `{"path": URI}`.

Resolver arguments, the checkpoint paths and `--dynamic-*` are what Flyte's backend sends; the last
two are read and unused, as nothing here takes checkpoints or makes tasks yet.
"""

from __future__ import annotations

from .errors import UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_COMMON = ("inputs", "output-prefix", "raw-output-data-prefix", "grace", "termination-log")
OPTIONS = {
    "call": _COMMON,
    "execute": (
        *_COMMON,
        "resolver",
        "checkpoint-path",
        "prev-checkpoint",
        "dynamic-addl-distro",
        "dynamic-dest-dir",
    ),
}
SWITCHES = {"call": (), "execute": ("test",)}
REFUSED = ("fast-execute", "map-execute")
DEFAULT_GRACE_SECONDS = 25.0
DEFAULT_TERMINATION_LOG = "/dev/termination-log"
FLYTE = "pyflyte-"


class Command:
    """What was asked for. `options` has every option of the verb; None where not given."""

    __slots__ = ("arguments", "flyte", "options", "switches", "verb")

    def __init__(self, verb: str, arguments: list[str], *, flyte: bool = False) -> None:
        self.verb = verb
        self.flyte = flyte
        self.arguments = arguments
        self.options: dict[str, str | None] = {}
        self.switches: set[str] = set()

    @property
    def grace_seconds(self) -> float:
        """How long a task may go on after SIGTERM; a little less than Kubernetes gives the pod."""
        text = self.options.get("grace")
        if text is None:
            return DEFAULT_GRACE_SECONDS
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise UsageError(f"--grace is a number of seconds, not {text!r}")
        return seconds


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Command:
    if not argv:
        raise UsageError("nothing to run; see --help")
    word = argv[0]
    verb = word.removeprefix(FLYTE)
    if verb in REFUSED:
        raise UnsupportedError(f"{word} is not supported yet; execute and call are")
    if verb == "execute" or word == "call":
        command = Command(verb, [], flyte=word != verb)
        _read_options(command, argv[1:], environ)
        _check(command)
        return command
    if word in ("--help", "-h", "help", "version", "--version"):
        return Command("version" if "version" in word else "help", [])
    if word.startswith("-"):
        raise UsageError(f"{word} is neither a command nor a program; see --help")
    program = Command("program", list(argv))
    program.options["grace"] = environ.get(variable("grace")) or None
    _ = program.grace_seconds
    return program


def variable(option: str) -> str:
    """The environment variable that is an option's twin."""
    return "IMAGEKIT_" + option.upper().replace("-", "_")


def _read_options(command: Command, words: Sequence[str], environ: Mapping[str, str]) -> None:
    names = OPTIONS[command.verb]
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
        if name in SWITCHES[command.verb] and not has_value:
            command.switches.add(name)
            continue
        if name not in names:
            from .suggest import suggestion

            known = [*names, *SWITCHES[command.verb]]
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
    _ = command.grace_seconds
    if command.verb == "call":
        if not command.arguments:
            raise UsageError("call needs MODULE:FUNCTION")
        if ":" not in command.arguments[0]:
            raise UsageError(f"{command.arguments[0]} is not MODULE:FUNCTION")
        return
    for name in ("inputs", "output-prefix"):
        if command.options[name] is None:
            raise UsageError(f"execute needs --{name}")
    if not command.arguments and "test" not in command.switches:
        raise UsageError("execute needs the resolver's arguments after --")


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


def _written(options: Mapping[str, str | None]) -> list[str]:
    return [
        word
        for name, value in options.items()
        if value is not None
        for word in (f"--{name}", value)
    ]
