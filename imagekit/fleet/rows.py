# SPDX-License-Identifier: Apache-2.0
"""Which of many images have to be built, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from imagekit.builders.existing import existing
from imagekit.builders.naming import repository
from imagekit.builders.runtime import runtime_pin
from imagekit.builders.tagging import image_tag
from imagekit.errors import LockError
from imagekit.fleet.stages import ancestors, stage_of
from imagekit.lock.ensure import ensure_lock
from imagekit.lock.model import Lock
from imagekit.progress import Silent
from imagekit.registry.client import RegistryClient
from imagekit.registry.reference import RegistryReference
from imagekit.spec.model import ImageSpec
from imagekit.values import frozen

CONNECTIONS = 8


@frozen
class Row:
    """One image; `why` it has to be built, or empty.

    `tag` is empty where no lock says what will be in it, `digest` where it is not built yet.
    `stage` is how many of the images that it stands on have to be built before it.
    """

    name: str
    spec: str
    platforms: tuple[str, ...]
    tag: str
    digest: str
    why: str
    stage: int = 0


@frozen
class Known:
    """What the files here say of an image: its locks and its tag, or what is wrong with them."""

    spec: ImageSpec
    address: Path
    locks: tuple[Lock, ...]
    tag: str
    trouble: str

    def row(self, digest: str, why: str) -> Row:
        platforms = tuple(self.spec.platforms)
        return Row(repository(self.spec), str(self.address), platforms, self.tag, digest, why)


Judge = Callable[[Known], Row]
"""Says whether an image has to be built. Called from several threads."""


def rows(specs: Mapping[Path, ImageSpec], judge: Judge) -> list[Row]:
    """A row for each of `specs`, in their order. What nobody can tell is built."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        waiting = [pool.submit(_row, *each, judge) for each in specs.items()]
        found = [each.result() for each in waiting]
    below = ancestors(specs)
    wanted = {Path(row.spec) for row in found if row.why}
    return [replace(row, stage=stage_of(below[Path(row.spec)], wanted)) for row in found]


def known(spec: ImageSpec, address: Path) -> Known:
    """Read what lies beside the spec; nothing is resolved."""
    try:
        locks = ensure_lock(spec, address, locked=True, runtime=runtime_pin(), progress=Silent())
    except LockError as error:
        return Known(spec, address, (), "", error.message)
    return Known(spec, address, locks, image_tag(spec, address, locks), "")


def in_registry(client: RegistryClient) -> Judge:
    """Images are built that their registry does not have."""

    def judge(image: Known) -> Row:
        if image.spec.registry is None:
            return image.row("", "its spec names no registry that could have it")
        reference = RegistryReference.parse(f"{repository(image.spec)}:{image.tag}")
        found = existing(reference, image.locks, client)
        why = {
            "exists": "",
            "absent": f"{reference}, built from this lock, is not there",
            "unknown": f"{reference} can't be asked after: {found.reason}",
        }
        return image.row(found.digest, why[found.answer])

    return judge


def since(before: Mapping[Path, str], revision: str) -> Judge:
    """Images are built whose tag is another one than `before`, when `revision` was current."""

    def judge(image: Known) -> Row:
        if image.address not in before:
            return image.row("", f"there was no such spec, or no lock of it, at {revision}")
        changed = before[image.address] != image.tag
        return image.row("", f"what is in it has changed since {revision}" if changed else "")

    return judge


def table(found: Sequence[Row]) -> list[str]:
    """For people: what is built first, each with its reason."""
    lines = []
    for row in sorted(found, key=lambda each: (not each.why, each.stage)):
        tag = f":{row.tag}" if row.tag else ""
        lines.append(f"{'build' if row.why else 'keep ':<6}{row.spec}  {row.name}{tag}")
        lines += [f"      {row.why}"] if row.why else []
    return lines


def _row(address: Path, spec: ImageSpec, judge: Judge) -> Row:
    image = known(spec, address)
    return image.row("", image.trouble) if image.trouble else judge(image)
