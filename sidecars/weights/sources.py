# SPDX-License-Identifier: Apache-2.0
"""What there is at a source, by its scheme; a source of objects is fetched as a whole instead."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import FilesError
from .remote import Remote

_SCHEMES = {"hf": "hub", "oci": "registry", "http": "plain", "https": "plain"}
"""Scheme -> module of this package that has `listing(source, environment, until)`."""
OBJECTS = ("s3", "gs", "az", "abfs", "abfss")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files at a source. `exact` is the source with the version that they are of."""

    exact: str
    files: tuple[Remote, ...]


def listing_of(source: str, environment: Mapping[str, str], until: float) -> Listing:
    """Raises FilesError."""
    scheme = source.partition("://")[0]
    if scheme not in _SCHEMES:
        raise FilesError(f"{source} is none of {', '.join(_SCHEMES)}")
    module = importlib.import_module(f"{__package__}.{_SCHEMES[scheme]}")
    found: Callable[..., Any] = module.listing
    exact, files = found(source, environment, until)
    return Listing(exact, tuple(files))
