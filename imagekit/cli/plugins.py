# SPDX-License-Identifier: Apache-2.0
"""`imagekit plugins`: what plugins add to an image, and what they can't share one with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import click

from imagekit.catalogue.conflicts import Conflict, conflicts
from imagekit.catalogue.find import UnknownPluginError, find_plugin, known_names
from imagekit.catalogue.model import Plugin
from imagekit.cli.options import output_option, print_json


@click.group(epilog="Example: imagekit plugins show spark", invoke_without_command=True)
@output_option
@click.pass_context
def command(ctx: click.Context, output: str) -> None:
    """List the plugins that a spec's `plugins` may name; `show` explains one."""
    if ctx.invoked_subcommand is not None:
        return
    found = [find_plugin(name) for name in known_names()]
    if output == "json":
        print_json({"plugins": [_described(plugin) for plugin in found]})
        return
    width = max(len(plugin.name) for plugin in found)
    for plugin in found:
        click.echo(f"{plugin.name:<{width}}  {plugin.runs:<9}  {plugin.about}")


@command.command("show", epilog="Example: imagekit plugins show spark")
@click.argument("name")
@output_option
def show_command(name: str, output: str) -> None:
    """Say what the plugin NAME adds to an image, what else it needs, and what it stands against."""
    try:
        plugin = find_plugin(name)
    except UnknownPluginError as error:
        near = f"; did you mean {' or '.join(error.near)}?" if error.near else ""
        raise click.UsageError(f"{error}{near}") from error
    apart = _apart(plugin)
    if output == "json":
        told = {each.second.name: str(each) for each in apart}
        print_json({**_described(plugin), "conflicts": told})
        return
    for line in _explained(plugin, apart):
        click.echo(line)


def _apart(plugin: Plugin) -> list[Conflict]:
    others = (find_plugin(name) for name in known_names() if name != plugin.name)
    return [found for other in others for found in conflicts((plugin, other))]


def _described(plugin: Plugin) -> dict[str, Any]:
    return dataclasses.asdict(plugin)


def _explained(plugin: Plugin, apart: list[Conflict]) -> Iterator[str]:
    yield f"{plugin.name}: {plugin.about}"
    rows = {
        "task types": ", ".join(plugin.task_types),
        "runs in": plugin.runs,
        "python": f"{plugin.python} ({plugin.python_why})" if plugin.python else "",
        "packages": ", ".join(plugin.packages),
        "apt packages": ", ".join(plugin.apt_packages),
        "variables": ", ".join(f"{name}={value}" for name, value in plugin.env.items()),
        "allow_build": ", ".join(plugin.from_source),
        "modules": ", ".join(plugin.modules),
    }
    for title, value in rows.items():
        if value:
            yield f"  {title:<13} {value}"
    for need, why in plugin.needs.items():
        yield f"  needs {need}: {why}"
    for limit in plugin.limits:
        yield f"  limits {limit.requirement}: {limit.why}"
    for conflict in apart:
        yield f"  {conflict}"
