# SPDX-License-Identifier: Apache-2.0
"""Task code as users write it. Checked by mypy, never run: what is wrong here is a wrong type.

An ignored error is part of the check: mypy says so when there is nothing to ignore.
"""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import assert_type

import imagekit
from imagekit import Directory, File, ImageSpec, RecoverableError, task

IMAGE = ImageSpec(
    name="train",
    python_version="3.12",
    packages=["scikit-learn>=1.5"],
    env={"OMP_NUM_THREADS": "1"},
    copy=("data",),
)
assert_type(IMAGE, ImageSpec)
assert_type(imagekit.ImageSpec(), ImageSpec)


@dataclass
class Metrics:
    accuracy: float


@task
def double(x: int) -> int:
    return 2 * x


@task(image=IMAGE)
def train(data: File, rate: float = 0.1, *, epochs: int = 1) -> tuple[Metrics, File]:
    with data.open() as stream:
        rows = len(stream.readlines())
    if rows == 0:
        raise RecoverableError("the data is not there yet")
    return Metrics(rate * epochs), File("model.bin")


@task(image="registry.example/team/train:1")
async def unpack(archive: File) -> Directory:
    assert_type(archive.path, str)
    return Directory("unpacked")


assert_type(double(2), int)
assert_type(double(x=2), int)
assert_type(train(File("data.csv"), epochs=3), tuple[Metrics, File])
assert_type(double.image, ImageSpec | str | None)


async def use() -> None:
    assert_type(await unpack(File("a.tar")), Directory)


double("2")  # type: ignore[arg-type]
train(File("data.csv"), 0.1, 3)  # type: ignore[call-arg]
task(image=3)  # type: ignore[call-overload]
ImageSpec("train")  # type: ignore[call-arg]
ImageSpec(package=["numpy"])  # type: ignore[call-arg]
IMAGE.name = "other"  # type: ignore[misc]

imagekit.Imagespec()  # type: ignore[attr-defined]  # a misspelt name is an error
