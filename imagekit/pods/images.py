# SPDX-License-Identifier: Apache-2.0
"""The images of a pod: the engine's own, else those of the local store, else pulled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from imagekit.errors import BuildError
from imagekit.oci.store import Store
from imagekit.pods.model import Pod
from imagekit.pods.options import ImageFacts, facts_of
from imagekit.pods.program import Program

Say = Callable[[str], None]


async def find_images(
    program: Program, pod: Pod, known: Mapping[str, ImageFacts], store: Store, say: Say
) -> tuple[dict[str, ImageFacts], list[str]]:
    """What each image says, by the name that the pod calls it, and which can't be had.

    Without an `imagePullPolicy` an image that is here is not pulled again, whatever its tag.
    """
    wanted = {container.image: container.pull for container in pod.containers}
    for volume in pod.volumes.values():
        if volume.kind == "image":
            wanted[volume.source["reference"]] = volume.source.get("pullPolicy") or "IfNotPresent"
    found = dict(known)
    problems: list[str] = []
    for name, policy in wanted.items():
        if name in known:
            continue
        facts = None if policy == "Always" else await _present(program, name, store, say)
        if facts is None and policy != "Never":
            facts = await _pulled(program, name, problems, say)
        elif facts is None:
            problems.append(f"image {name}: not here, and its imagePullPolicy is Never")
        if facts is not None:
            found[name] = facts
    return found, problems


async def _present(program: Program, name: str, store: Store, say: Say) -> ImageFacts | None:
    facts = await _facts(program, name)
    if facts is not None:
        return facts
    try:
        image = store.find(name)
    except BuildError:
        return None
    say(f"loading {name} from the local store")
    return await _facts(program, await asyncio.to_thread(program.engine.have, image))


async def _pulled(program: Program, name: str, problems: list[str], say: Say) -> ImageFacts | None:
    say(f"pulling {name}")
    answer = await program.ask("pull", "--quiet", name)
    if answer.code:
        problems.append(f"image {name}: {answer.last_line}")
        return None
    return await _facts(program, name)


async def _facts(program: Program, name: str) -> ImageFacts | None:
    answer = await program.ask("image", "inspect", name)
    if answer.code:
        return None
    (found,) = json.loads(answer.out)
    return facts_of(found["Config"] or {}, found["Id"])
