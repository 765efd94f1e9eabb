# SPDX-License-Identifier: Apache-2.0
"""Refuses wheels that write one path differently, after another installer took them apart.

Run inside a container by the base's interpreter, never imported by imagekit itself:

    python refuse_installed.py VENV SITE_PACKAGES PREFIX...

Each PREFIX holds a part of what is to lie in VENV. What a wheel writes is read in its RECORD: where
two of one prefix disagree, the file of only one is left.
"""

import csv
import posixpath
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from imagekit.errors import BuildError
from imagekit.layers.conflicts import refuse_conflicts


class Recorded(NamedTuple):
    """A distribution, by its name and version, and the rows of its RECORD."""

    filename: str
    files: tuple[tuple[str, str, str], ...]


def main() -> None:
    venv, site_packages, *prefixes = sys.argv[1:]
    try:
        refuse_conflicts(
            each for prefix in prefixes for each in recorded(prefix, venv, site_packages)
        )
    except BuildError as error:
        sys.exit(f"{error.message}\n{error.hint}")


def recorded(prefix: str, venv: str, site_packages: str) -> Iterator[Recorded]:
    for record in sorted(Path(prefix, site_packages).glob("*.dist-info/RECORD")):
        with record.open(encoding="utf-8", newline="") as stream:
            rows = [
                (posixpath.normpath(f"{venv}/{site_packages}/{path}"), content, size)
                for path, content, size in csv.reader(stream)
                if content
            ]
        name = record.parent.name.removesuffix(".dist-info")
        yield Recorded(name, tuple(rows))


if __name__ == "__main__":
    main()
