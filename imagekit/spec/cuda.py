# SPDX-License-Identifier: Apache-2.0
"""`cuda` and `cudnn`: what is wrong with them, and with indexes that are named after them."""

from __future__ import annotations

from collections.abc import Iterator

from imagekit.bases.cuda import releases
from imagekit.spec.model import ImageSpec

_CUDNN = ("8", "9")

Wrong = tuple[str, str, str, str | None]
"""The field, what to say, a hint, and the item that is meant."""


def wrong_cuda(spec: ImageSpec) -> Iterator[Wrong]:
    """Versions that nobody knows, and what makes no sense without `cuda`."""
    if spec.cuda is not None and spec.cuda not in releases():
        hint = f"write one of {', '.join(releases())}"
        yield "cuda", f"cuda {spec.cuda!r} is no version that is known", hint, None
    if spec.cudnn is not None and spec.cudnn not in _CUDNN:
        message = f"cudnn {spec.cudnn!r} is no major version that is known"
        yield "cudnn", message, f"write {' or '.join(_CUDNN)}", None
    if spec.cuda is None:
        yield from _without(spec)


def _without(spec: ImageSpec) -> Iterator[Wrong]:
    hint = "write cuda: 'X.Y' too"
    if spec.cudnn is not None:
        yield "cudnn", "cudnn needs cuda", hint, None
    for url in spec.pip_extra_index_url:
        if "{cuda}" in url:
            message = "pip_extra_index_url holds {cuda}, and cuda is not set"
            yield "pip_extra_index_url", message, hint, url
