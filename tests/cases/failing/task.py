# SPDX-License-Identifier: Apache-2.0
import sys


def check(rows: int) -> None:
    if rows < 10:
        raise ValueError(f"only {rows} rows")


def main(rows: int) -> int:
    print("about to check")
    print("a warning", file=sys.stderr)
    check(rows)
    return rows
