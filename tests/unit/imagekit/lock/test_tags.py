# SPDX-License-Identifier: Apache-2.0
"""Which wheel a target takes."""

import os
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import sys_tags

from imagekit.lock.model import Target
from imagekit.lock.tags import best_wheel, supported_tags

AMD64 = Target("linux/amd64", "3.11.2", "/usr/bin/python3.11", "2.36")
ARM64 = Target("linux/arm64", "3.13.5", "/usr/bin/python3.13", "2.41")


@pytest.mark.parametrize(
    ("target", "offered", "taken"),
    [
        (AMD64, ["x-1-py3-none-any.whl"], 0),
        (AMD64, ["x-1-py3-none-any.whl", "x-1-cp311-cp311-manylinux_2_28_x86_64.whl"], 1),
        (AMD64, ["x-1-cp38-abi3-manylinux2014_x86_64.whl", "x-1-py3-none-any.whl"], 0),
        (
            AMD64,
            [
                "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "x-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            ],
            1,
        ),
        (AMD64, ["x-1-cp311-cp311-manylinux_2_37_x86_64.whl"], None),
        (AMD64, ["x-1-cp312-cp312-manylinux_2_28_x86_64.whl"], None),
        (AMD64, ["x-1-cp313-abi3-manylinux_2_28_x86_64.whl"], None),
        (AMD64, ["x-1-cp311-cp311-manylinux_2_28_aarch64.whl"], None),
        (AMD64, ["x-1-cp311-cp311-musllinux_1_2_x86_64.whl"], None),
        (AMD64, ["x-1-cp311-cp311-macosx_11_0_arm64.whl", "x-1-cp311-none-linux_x86_64.whl"], 1),
        (AMD64, ["x-1-1-py3-none-any.whl", "x-1-2b-py3-none-any.whl", "x-1-py3-none-any.whl"], 1),
        (AMD64, ["x-1-py2-none-any.whl"], None),
        (AMD64, ["x-1-cp311-cp311-manylinux1_x86_64.whl"], 0),
        (ARM64, ["x-1-cp313-cp313-manylinux_2_41_aarch64.whl"], 0),
        (ARM64, ["x-1-cp313-cp313-manylinux1_aarch64.whl"], None),
        (ARM64, ["x-1-cp313-cp313t-manylinux_2_28_aarch64.whl"], None),
    ],
)
def test_the_best_wheel_that_runs_is_taken(target: Any, offered: Any, taken: Any) -> None:
    """The most specific one that the target runs, or none."""
    assert best_wheel(offered, supported_tags(target)) == (
        None if taken is None else offered[taken]
    )


def test_the_order_in_which_an_index_lists_wheels_does_not_matter() -> None:
    """The choice is a function of the set."""
    offered = ["x-1-py3-none-any.whl", "x-1-cp311-abi3-manylinux_2_28_x86_64.whl"]
    tags = supported_tags(AMD64)
    assert best_wheel(offered, tags) == best_wheel(offered[::-1], tags)


@pytest.mark.skipif(not Path("/lib64/ld-linux-x86-64.so.2").exists(), reason="not amd64 and glibc")
def test_tags_are_those_that_a_native_installer_would_compute() -> None:
    """Asked about this very machine, the answer is packaging's own."""
    glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[1]
    here = Target("linux/amd64", sysconfig.get_python_version() + ".0", "/x", glibc)
    assert list(map(str, supported_tags(here))) == list(map(str, sys_tags()))
