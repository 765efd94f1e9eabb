# SPDX-License-Identifier: Apache-2.0
"""Layers of what a program changes in the image below it."""

from __future__ import annotations

from imagekit.builders.layerings import Layering
from imagekit.jobs.job import Job
from imagekit.layers.cache import LayerCache
from imagekit.oci.image import Image
from imagekit.oci.layer import FileLayer
from imagekit.progress import Progress, watched


def run_layering(
    layering: Layering, job: Job, below: Image, cache: LayerCache, progress: Progress
) -> FileLayer:
    """The layer of what `job` changes in `below`, from the cache where it was run before.

    Raises BuildError where this machine can't run programs of the image's platform.
    """
    layer = cache.find(layering.recipe)
    if layer is None:
        # Most builds run nothing.
        from imagekit.jobs.sandbox import check_machine, make_layer  # noqa: PLC0415

        check_machine(str(below.platform), job.what)
        if layering.prepare is not None:
            job = layering.prepare(job)
        with watched(progress.task(f"running {job.what}")) as task:
            layer = make_layer(cache, layering.recipe, below, job, task)
    return layer
