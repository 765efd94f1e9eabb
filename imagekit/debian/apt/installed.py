# SPDX-License-Identifier: Apache-2.0
"""What a base has installed, read from dpkg's status (deb822(5), dpkg(1), "INFORMATION")."""

from __future__ import annotations

from collections.abc import Mapping

from imagekit.debian.control import Stanza, stanzas
from imagekit.debian.index import Candidate, candidate_of
from imagekit.errors import IntegrityError

STATUS = "var/lib/dpkg/status"


def installed(status: str, architecture: str) -> dict[str, Candidate]:
    """Packages by name; those that are removed, or unpacked alone, do not count."""
    found = {}
    for fields in stanzas(status):
        if is_installed(fields) and fields.get("Architecture") in (architecture, "all"):
            try:
                found[fields["Package"]] = candidate_of(fields, architecture)
            except (KeyError, ValueError) as error:
                name = fields.get("Package", "?")
                raise IntegrityError(f"the base's dpkg status: {name} does not read") from error
    return found


def is_installed(fields: Stanza) -> bool:
    return fields.get("Status", "").split()[-1:] == ["installed"]


def by_name(status: str) -> Mapping[str, Stanza]:
    """All stanzas, whatever their state, by package; with the architecture where it has several."""
    found: dict[str, Stanza] = {}
    for fields in stanzas(status):
        name = fields.get("Package", "?")
        key = f"{name}:{fields.get('Architecture', '')}" if name in found else name
        found[key] = fields
    return found
