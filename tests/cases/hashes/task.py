# SPDX-License-Identifier: Apache-2.0
import csv
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version


def main(at_least: str) -> dict[str, str]:
    with Path("data/table.csv").open(encoding="utf-8") as stream:
        rows = dict(csv.reader(stream))
    installed = {name: version(name) for name in ("packaging", "six")}
    assert Version(installed["packaging"]) >= Version(at_least)
    return installed | rows
