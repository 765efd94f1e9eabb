# SPDX-License-Identifier: Apache-2.0
"""Tables of strings are resolved when they are used: here each line is resolved once."""

from __future__ import annotations

import ast
import importlib
import inspect
import types
from pathlib import Path
from typing import Any, get_args

import click
import pytest

import imagekit
import sidecars
from entrypoint import resolvers
from entrypoint import storage as storages
from entrypoint import types as transformers
from entrypoint.wire.messages import _VARINTS, _WIRE_TYPES, MESSAGES, layout_of
from imagekit.cli.main import VERBS
from imagekit.debian import releases
from imagekit.engines import ENGINES
from imagekit.oci import destinations
from sidecars.engines import ENGINES as SERVERS
from sidecars.engines import engine_class
from tests.house.project import ROOT, files, parsed, relative

NAMELESS = {"builtins.NoneType": types.NoneType}
"""What the interpreter names by a path that leads nowhere."""


def resolve(target: str, package: str = "") -> Any:
    """`module:attribute`, or a dotted path; relative to `package`."""
    module, _, attribute = target.replace(":", ".").rpartition(".")
    return getattr(importlib.import_module(f"{package}.{module}" if package else module), attribute)


def leaves(folder: str) -> set[str]:
    """The modules of a folder, without its own."""
    return {path.stem for path in files(".py", folder) if path.stem != "__init__"}


def test_public_names_are_what_they_say() -> None:
    """Each name of `imagekit` leads to the thing of that name."""
    assert sorted(imagekit._NAMES) == imagekit.__all__
    wrong = [
        name for name in imagekit._NAMES if getattr(imagekit, name).__name__.split(".")[-1] != name
    ]
    assert wrong == []


def test_type_checkers_see_the_names_that_python_finds() -> None:
    """The imports that they read name the same module for each public name."""
    seen = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in ast.walk(parsed(ROOT / "imagekit" / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    found = {
        name: f"entrypoint{target}" if target.startswith(".") else target
        for name, target in imagekit._NAMES.items()
    }
    assert seen == found


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_a_command_with_an_example(verb: str) -> None:
    """And says what it does, and in its help how to use it."""
    command = resolve(f"imagekit.cli.{verb}:command")
    assert isinstance(command, click.Command)
    assert command.help
    assert f"imagekit {verb} " in (command.epilog or "")


def test_each_file_with_a_command_is_a_verb() -> None:
    """No verb is out of reach."""
    modules = {
        leaf: importlib.import_module(f"imagekit.cli.{leaf}") for leaf in leaves("imagekit/cli")
    }
    assert {leaf for leaf, module in modules.items() if hasattr(module, "command")} == set(VERBS)


@pytest.mark.parametrize("kind", SERVERS)
def test_each_kind_of_model_server_can_be_described(kind: str) -> None:
    """By its name, without an argument, and it calls itself by that name."""
    assert engine_class(kind)().kind == kind


def test_each_module_of_a_model_server_is_in_the_table() -> None:
    """Or is what several of them need."""
    named = {target.partition(":")[0] for target in SERVERS.values()}
    assert leaves("sidecars/engines") == named | {"modelfile", "variables"}


def test_public_names_of_sidecars_are_what_they_say() -> None:
    """Each leads to the thing of that name, and type checkers read the same."""
    wrong = [name for name in sidecars._NAMES if getattr(sidecars, name).__name__ != name]
    assert wrong == []
    seen = {
        alias.asname: node.module
        for node in ast.walk(parsed(ROOT / "sidecars" / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert seen == dict(sidecars._NAMES)


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_can_be_made(name: str) -> None:
    """From an environment alone, with a probe and a run."""
    engine = resolve(ENGINES[name])({})
    assert callable(engine.probe)
    assert callable(engine.run)


def test_each_transport_has_a_writer() -> None:
    """The three tables of destinations agree."""
    named = set(get_args(destinations.Transport))
    assert named == set(destinations._TRANSPORTS) == set(destinations._WRITERS)


def test_each_debian_release_has_its_keys() -> None:
    """And no key is kept that none of them trusts."""
    table = releases._data()["releases"]
    assert [releases.release_for(entry["python"]).name for entry in table.values()] == list(table)
    keys = {path.stem for path in files(".asc", "imagekit/bases/keys")}
    assert keys == {key for entry in table.values() for key in entry["keys"]}


def test_each_resolver_loads_tasks() -> None:
    """Every name leads to a module, and every module has a name."""
    for name in resolvers.RESOLVERS:
        assert callable(resolvers.resolver_named(name).load_task)
    assert resolvers.DEFAULT in resolvers.RESOLVERS
    assert set(resolvers.RESOLVERS.values()) == leaves("entrypoint/resolvers")


def test_each_storage_fetches_stores_and_clears() -> None:
    """Every scheme leads to a module, and every module has a scheme."""
    for scheme in (*storages.SCHEMES, "any-other"):
        storage = storages.storage_for(f"{scheme}://place" if scheme else "/place")
        for function in ("fetch", "store", "clear"):
            assert inspect.isfunction(getattr(storage, function))
    assert {*storages.SCHEMES.values(), storages._OTHERS} == leaves("entrypoint/storage")


def test_each_type_is_one_and_has_a_transformer() -> None:
    """Every name is a type's own, its class has what a transformer has, no module is unused."""
    tables = (transformers.TRANSFORMERS, transformers.SHAPES, transformers.MARKERS)
    targets = {transformers._HASHED, *(target for table in tables for target in table.values())}
    members = {"to_literal", "from_literal", "pack", "unpack", "fits"}
    for target in targets:
        assert members <= set(dir(resolve(target, "entrypoint.types"))), target
    for name in (*transformers.TRANSFORMERS, *transformers.MARKERS):
        kind = NAMELESS.get(name) or resolve(name)
        # From Python 3.14 on both spellings of a union are one class. A Literal is never bare.
        assert transformers._name(kind) == name or kind.__name__ in ("Union", "Literal"), name
    assert {target.partition(":")[0] for target in targets} == leaves("entrypoint/types")


def test_each_message_is_made_of_scalars_and_known_messages() -> None:
    """And no field number stands twice in one."""
    kinds = {*MESSAGES, *_VARINTS, *_WIRE_TYPES}
    for name, row in MESSAGES.items():
        layout = layout_of(name)
        assert {field.kind for field in layout.in_order} <= kinds, name
        assert len(layout.in_order) == row.count(":"), name


def test_strings_that_name_our_modules_name_ones_that_exist() -> None:
    """Wherever they stand: `__import__`, subprocesses and tables are seen by no import contract."""
    lost = []
    for path in files(".py", "imagekit", "entrypoint"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                module = node.value.partition(":")[0]
                is_name = module.replace(".", "").isidentifier()
                if is_name and module.startswith(("imagekit.", "entrypoint.")):
                    lost += [] if _is_module(module) else [f"{relative(path)}: {node.value}"]
    assert lost == []


def _is_module(name: str) -> bool:
    place = Path(ROOT, *name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()
