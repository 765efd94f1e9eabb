# SPDX-License-Identifier: Apache-2.0
"""Whose interpreter compiles the bytecode of an image for another platform."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imagekit.builders.compiling import (
    Interpreter,
    SharedCompiler,
    choose_interpreter,
    interpreter_name,
    runs_here,
    same_interpreter,
)
from imagekit.errors import BuildError, IntegrityError
from imagekit.lock.model import Lock, Target
from imagekit.progress import Silent
from imagekit.spec.model import PLATFORMS

HERE = next(platform for platform in PLATFORMS if runs_here(platform))
THERE = next(platform for platform in PLATFORMS if not runs_here(platform))
IMAGE = {"kind": "oci", "reference": "example.test/python:3.11", "digest": "sha256:0"}


def debian(version: str) -> Mapping[str, Any]:
    package = {"name": "python3.11-minimal", "version": version, "sha256": version}
    return {"kind": "debian", "packages": [package, {"name": "dash", "version": "1"}]}


def lock(platform: str, base: Mapping[str, Any], python: str = "3.11.2") -> Lock:
    target = Target(platform, python, "/usr/bin/python3.11", "2.36")
    return Lock("sha256:0", target, base, (), None, "0")


def chosen(image: Lock, *others: Lock) -> Interpreter:
    """The roots that are unpacked are named after their platforms."""
    return choose_interpreter(image, others, lambda of: Path(of.target.platform), lambda _: None)


def test_an_image_for_this_machine_is_compiled_by_its_own_interpreter() -> None:
    """No other base is looked at."""
    found = chosen(lock(HERE, debian("1")), lock(THERE, debian("1")))
    assert (found.root(), found.label) == (Path(HERE), "")


@pytest.mark.parametrize("base", [debian("3.11.2-6"), IMAGE], ids=["debian", "image"])
def test_another_platform_is_compiled_by_the_same_python_of_this_one(base: Any) -> None:
    """People are told, as it is not the image's own."""
    found = chosen(lock(THERE, base), lock(HERE, base))
    assert found.root() == Path(HERE)
    assert THERE in found.label
    assert HERE in found.label


@pytest.mark.parametrize(
    "other",
    [lock(HERE, debian("3.11.2-7")), lock(HERE, IMAGE), lock(THERE, debian("3.11.2-6"))],
    ids=["another version", "another kind of base", "for the same platform"],
)
def test_another_python_does_not_compile(other: Lock) -> None:
    """The error names both ways out."""
    with pytest.raises(BuildError, match=f"can't run {THERE}") as caught:
        chosen(lock(THERE, debian("3.11.2-6")), other)
    assert "platform: [linux/amd64, linux/arm64]" in str(caught.value.hint)
    assert "compile_bytecode: false" in str(caught.value.hint)


def test_images_of_another_version_are_another_python() -> None:
    """The same tag may hold different Pythons on two platforms."""
    assert not same_interpreter(lock(HERE, IMAGE), lock(THERE, IMAGE, python="3.11.3"))


def test_a_rebuild_of_the_same_source_is_the_same_python() -> None:
    """Debian marks it with +b and a number; an update of the release is something else."""
    plain, rebuilt, updated = (
        interpreter_name(debian(version), "3.11.2") for version in ("1-6", "1-6+b2", "1-6+deb12u1")
    )
    assert plain == rebuilt
    assert plain != updated


def test_an_interpreter_that_is_another_than_the_lock_says_compiles_nothing() -> None:
    """A lock can't have its own base's bytecode stand in the images of others."""
    python = os.path.realpath(sys.executable)
    own = SharedCompiler(Interpreter(lambda: Path("/"), python), Silent())
    identity = own.identity()
    assert identity is not None
    said = Interpreter(lambda: Path("/"), python, identity=identity)
    assert SharedCompiler(said, Silent()).identity() == identity

    lying = SharedCompiler(Interpreter(lambda: Path("/"), python, identity="sha256:0"), Silent())
    for ask in (lying.unpack, lying.get):
        with pytest.raises(IntegrityError, match="the lock says sha256:0"):
            ask()


def test_where_the_lock_names_the_interpreter_layers_are_found_without_it() -> None:
    """Nothing is unpacked to know what a layer is called."""

    def unpacked() -> Path:
        raise AssertionError("unpacked")

    said = Interpreter(unpacked, "/usr/bin/python3", identity="sha256:0")
    assert SharedCompiler(said, Silent()).identity() == "sha256:0"
