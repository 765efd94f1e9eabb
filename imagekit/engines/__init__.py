# SPDX-License-Identifier: Apache-2.0
"""What can run an image on this machine."""

from __future__ import annotations

from imagekit.engines.model import Mount
from imagekit.engines.run import ENGINES, output_directory, run_image

__all__ = ["ENGINES", "Mount", "output_directory", "run_image"]
