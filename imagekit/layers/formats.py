# SPDX-License-Identifier: Apache-2.0
"""Versions that are part of every recipe; each is raised when its code changes a layer's bytes."""

from __future__ import annotations

COMPRESSOR = "libdeflate-python-0.9.0-level-1"
"""Other compressors give other bytes (`writer.py`)."""

WHEELS = "wheels-1"
"""How wheels are installed (`wheel_layer.py`)."""

TREE = "tree-1"
"""How files are laid down (`tree.py`)."""

JOB = "job-2"
"""How what a job changed is kept (`jobs/sandbox.py`)."""

LIBRARIES = "libraries-1"
"""How the loader is told of libraries (`builders/libraries.py`)."""

BYTECODE = "2"
"""How modules are compiled (`bytecode.py`): other batches may give other bytes."""

RECORD = "1"
"""How an image says what it was made from (`builders/record.py`)."""
