# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can run what has to be run in an image: commands, and maintainer scripts.

Whoever runs them has to be root of the image, so that owners come out as they are set: this
machine's root, or an ordinary user with subordinate IDs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from imagekit.builders.forecast import Forecast
from imagekit.errors import BuildError
from imagekit.layers.host import ELSEWHERE, host_can_run

_AS_ROOT = "build as root, or with `builder: docker`"


def lacks_to_run(platform: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """What keeps this machine from running programs in an image for `platform`, or None."""
    if not host_can_run(platform.partition("/")[2]):
        return f"this machine can't run what has to be run for {platform}"
    if os.geteuid() == 0:
        return None
    from imagekit.engines.namespaces import Namespaces  # noqa: PLC0415 - probing starts programs
    from imagekit.engines.subordinate import lacking  # noqa: PLC0415 - as above

    reason = lacking() or Namespaces(environ).probe()
    return None if reason is None else f"an ordinary user can't be root of an image here: {reason}"


def refuse_unrunnable(what: str, platform: str) -> None:
    """Raise BuildError where `what` can't be run here, before anything is made for it."""
    reason = lacks_to_run(platform)
    if reason is not None:
        raise BuildError(f"{what}: {reason}", hint=_way_out(platform))


def running_told(found: Forecast) -> str:
    """That the build will stop at what it has to run; empty where it won't."""
    wanted = dict.fromkeys(layer.runs for layer in found.layers if layer.runs)
    reason = lacks_to_run(found.platform) if wanted else None
    if reason is None:
        return ""
    return f"the build will stop: {', '.join(wanted)}: {reason}; {_way_out(found.platform)}"


def _way_out(platform: str) -> str:
    return _AS_ROOT if host_can_run(platform.partition("/")[2]) else ELSEWHERE
