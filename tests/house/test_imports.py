# SPDX-License-Identifier: Apache-2.0
"""What is imported where; .importlinter says the same of the packages among themselves."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from imagekit.builders.runtime import runtime_files
from imagekit.cli.main import VERBS
from tests.golden.compare import check_golden
from tests.house.project import (
    PACKAGES,
    ROOT,
    STANDARD_LIBRARY,
    files,
    imports,
    module_name,
    relative,
)

HERE = Path(__file__).parent
FOR_TYPE_CHECKERS = {"typing_extensions"}
"""Imported where nothing runs; type checkers bring it."""


def test_the_runtime_imports_the_standard_library_and_itself() -> None:
    """And itself relatively, as it runs under a private name."""
    foreign = [
        f"{relative(path)} imports {name}"
        for path in files(".py", "entrypoint", "sidecars")
        for level, name in imports(path)
        if not level and name.partition(".")[0] not in STANDARD_LIBRARY
    ]
    assert foreign == []


def test_the_runtime_wheel_imports_the_standard_library_and_its_own_members() -> None:
    """In type-checking blocks too: no dependency, and no module that stays outside.

    But for `imagekit.api`, which says of itself that it is missing in images.
    """
    members = [ROOT / name for name, _ in runtime_files(ROOT) if name.endswith(".py")]
    inside = {module_name(path) for path in members} | {"imagekit.api"}
    foreign = [
        f"{relative(path)} imports {name}"
        for path in members
        for level, name in imports(path)
        if not level
        if name not in inside and name.partition(".")[0] not in STANDARD_LIBRARY
    ]
    assert foreign == []


def third_party() -> dict[str, set[str]]:
    """Each package that is neither ours nor the standard library's, with who imports it."""
    leaves: dict[str, set[str]] = defaultdict(set)
    for path in files(".py", *PACKAGES):
        for level, name in imports(path):
            package = name.partition(".")[0]
            if not level and package not in {*STANDARD_LIBRARY, *PACKAGES}:
                leaves[package].add(module_name(path))
    return leaves


def test_other_packages_are_imported_by_the_listed_modules_alone() -> None:
    """A heavy import sits in the leaf that needs it: dependencies.txt is the whole list."""
    leaves = third_party()
    lines = [f"{package}: {module}" for package in leaves for module in leaves[package]]
    check_golden(HERE / "dependencies.txt", "\n".join(sorted(lines)) + "\n")


def test_other_packages_are_dependencies_of_our_own() -> None:
    """None is there only because another package needs it today."""
    text = (ROOT / "pyproject.toml").read_text()
    needed = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    declared = {Requirement(line).name for line in re.findall(r'"(.+)",', needed)}
    distributions = packages_distributions()
    foreign = {
        package: sorted(modules)
        for package, modules in third_party().items()
        if package not in FOR_TYPE_CHECKERS
        and not {canonicalize_name(name) for name in distributions.get(package, [package])}
        & declared
    }
    assert foreign == {}


def test_a_verb_imports_no_other_verb() -> None:
    """What two of them need stands in a module that is no verb."""
    verbs = {f"imagekit.cli.{verb}" for verb in VERBS}
    crossed = [
        f"{relative(path)} imports {name}"
        for path in files(".py", "imagekit/cli")
        for _, name in imports(path)
        if name in verbs
    ]
    assert crossed == []


def test_every_absolute_import_names_a_module() -> None:
    """Also one inside a function or a type-checking block, which no other test may reach."""
    lost = [
        f"{relative(path)} imports {name}"
        for path in files(".py", *PACKAGES)
        for level, name in imports(path)
        if not level and name.partition(".")[0] in PACKAGES
        if importlib.util.find_spec(name) is None
    ]
    assert lost == []
