# SPDX-License-Identifier: Apache-2.0
"""What each source file has to be: short, licensed, explained, honest about its names."""

from __future__ import annotations

import ast
import importlib

from tests.house.project import PACKAGES, files, module_name, parsed, relative

MODULE_LINES = 400
TEST_MODULE_LINES = 500
FUNCTION_LINES = 50
LICENCE = "# SPDX-License-Identifier: Apache-2.0"


def test_modules_fit_on_a_few_screens() -> None:
    """At most 400 lines, and 500 for tests."""
    limits = {
        **dict.fromkeys(files(".py", *PACKAGES), MODULE_LINES),
        **dict.fromkeys(files(".py", "tests"), TEST_MODULE_LINES),
    }
    long = {
        relative(path): lines
        for path, limit in limits.items()
        if (lines := len(path.read_text().splitlines())) > limit
    }
    assert long == {}


def test_functions_fit_on_one_screen() -> None:
    """At most 50 lines, docstring and all."""
    long = {}
    for path in files(".py", *PACKAGES):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{relative(path)}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_every_source_file_begins_with_its_licence() -> None:
    """One SPDX line; after the first line of a script."""
    missing = [
        relative(path)
        for path in (*files(".py"), *files(".sh"), *files(".yml"))
        if LICENCE not in path.read_text().splitlines()[:2]
    ]
    assert missing == []


def test_every_module_says_what_it_is() -> None:
    """In a docstring; of tests, each says it for itself."""
    silent = [
        relative(path) for path in files(".py", *PACKAGES) if not ast.get_docstring(parsed(path))
    ]
    assert silent == []


def test_public_names_exist_and_are_sorted() -> None:
    """Where a module has `__all__`, it is true."""
    wrong = {}
    for path in files(".py", *PACKAGES):
        if "\n__all__ = " in path.read_text():
            module = importlib.import_module(module_name(path))
            absent = [name for name in module.__all__ if not hasattr(module, name)]
            if absent or list(module.__all__) != sorted(set(module.__all__)):
                wrong[module.__name__] = absent or "not sorted"
    assert wrong == {}
