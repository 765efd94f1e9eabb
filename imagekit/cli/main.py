# SPDX-License-Identifier: Apache-2.0
"""The program `imagekit`: finds the verb, and turns errors into texts and exit codes.

A verb is one module of this package with a `command`, and one line in `VERBS`. It is imported
when it is used, so `imagekit --help` reads nothing but this file.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

import click

from imagekit import interrupts, usage
from imagekit.errors import ImagekitError, SpecError

VERBS: Mapping[str, str] = {
    "init": "Write a first spec for a project.",
    "build": "Build an image from each spec.",
    "plan": "Say what a build will come to, layer by layer.",
    "why": "Name what changed each layer since the last build.",
    "lock": "Resolve specs and write their locks.",
    "run": "Run a task in an image, and print its outputs as JSON.",
    "push": "Send an image to a registry.",
    "inspect": "Show what an image is made of.",
    "matrix": "Say which of many images have to be built, for CI.",
    "index": "Put images that were built per platform under one tag.",
    "plugins": "List plugins, and what each adds to an image.",
    "bases": "List bases, and bring those of specs up to date.",
    "cache": "Show what the caches and the local store hold.",
    "gc": "Bound the caches and the local store by size and age.",
    "diff": "Compare two images by packages, files and configuration.",
    "sidecar": "Put model servers next to tasks, in their pods.",
    "model": "Pack model files into images.",
    "pod": "Run a pod on this machine, as a kubelet would.",
}

_INTERRUPTED = 130


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            import difflib  # noqa: PLC0415 - verbs are mostly spelled right

            near = difflib.get_close_matches(cmd_name, VERBS, n=1)
            ctx.fail(f"no verb {cmd_name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        command: click.Command = importlib.import_module(f"imagekit.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import importlib.metadata  # noqa: PLC0415 - slow, and asked for by this option only

        click.echo(f"imagekit {importlib.metadata.version('imagekit')}")
        ctx.exit()


@click.group(
    cls=_Verbs,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: imagekit build examples/hello/spec.yaml",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and leave.",
)
def program() -> None:
    """Task images from a short spec.yaml."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    try:
        with usage.running(), interrupts.heard():
            result = program.main(arguments, prog_name="imagekit", standalone_mode=False)
    except click.Abort:
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ImagekitError as error:
        _report(error)
        return error.exit_code
    return result if isinstance(result, int) else 0


def _report(error: ImagekitError) -> None:
    lines = error.message.splitlines() if isinstance(error, SpecError) else [error.message]
    for line in lines:
        click.echo(f"error: {line}", err=True)
    if error.hint is not None:
        click.echo(f"hint: {error.hint}", err=True)
