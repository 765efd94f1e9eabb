# SPDX-License-Identifier: Apache-2.0
"""A spec with all that follows from it written out: what plugins need, which index CUDA means."""

from __future__ import annotations

import dataclasses

from imagekit.spec.model import ImageSpec


def completed(spec: ImageSpec) -> ImageSpec:
    """The same image, said in full. Doing it twice changes nothing."""
    if spec.plugins:
        from imagekit.spec.plugins import with_plugins  # noqa: PLC0415 - most specs have none

        spec = with_plugins(spec)
    if spec.cuda is not None:
        from imagekit.bases.cuda import index_of  # noqa: PLC0415 - most specs have none

        index = index_of(spec.cuda)
        urls = [url.replace("{cuda}", index) for url in spec.pip_extra_index_url]
        spec = dataclasses.replace(spec, pip_extra_index_url=urls)
    return spec
