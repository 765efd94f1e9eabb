# SPDX-License-Identifier: Apache-2.0
"""docs/reference/pods.md has tables that are made: of the fields, and of the conformance tests."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from imagekit.pods.fields import POD, Leaf
from tests.conformance.pods.harness import BEHAVIOURS
from tests.golden.compare import check_golden
from tests.house.project import ROOT

PAGE = ROOT / "docs/reference/pods.md"
FIELDS = "<!-- made of imagekit/pods/fields.py -->\n"
RULES = "<!-- made of tests/conformance/pods -->\n"
END = "<!-- end -->\n"
MODULES = ("test_lifecycle_rules", "test_probe_rules", "test_container_rules")


def leaves(table: Any, path: str = "") -> Iterator[tuple[str, Leaf]]:
    if isinstance(table, Leaf):
        yield path, table
    elif isinstance(table, tuple):
        yield from leaves(table[0], f"{path}[]")
    else:
        for name, inner in table.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)


def fields() -> str:
    """Refused fields with their reasons, those of both lists of containers once."""
    rows: dict[str, str] = {}
    unused = []
    for path, leaf in leaves(POD):
        short = path.replace("spec.initContainers[]", "spec.containers[]")
        if leaf.effect == "refused":
            rows[short] = leaf.why
        elif leaf.effect == "unused" and short not in unused:
            unused.append(short)
    table = "".join(f"| `{path}` | {why} |\n" for path, why in rows.items())
    names = ", ".join(f"`{path}`" for path in unused)
    return (
        "| refused | because |\n|---|---|\n"
        + table
        + f"\nTaken, and without effect on a single machine (each is named on stderr): {names}.\n"
    )


def rules() -> str:
    for module in MODULES:
        importlib.import_module(f"tests.conformance.pods.{module}")
    rows = (f"| {r.identifier} | {r.sentence} | {r.source} |\n" for r in BEHAVIOURS.values())
    return "| rule | what is proved | source |\n|---|---|---|\n" + "".join(sorted(rows))


def with_part(text: str, begin: str, made: str) -> str:
    before, _, rest = text.partition(begin)
    assert rest.count(END) >= 1, begin
    return before + begin + "\n" + made + "\n" + END + rest.partition(END)[2]


def test_the_reference_of_pods_is_what_is_refused_and_proved() -> None:
    """Its tables are made, the words around them are not."""
    text = with_part(PAGE.read_text(), FIELDS, fields())
    check_golden(PAGE, with_part(text, RULES, rules()))


def test_there_are_enough_rules() -> None:
    """The list is at least as long as was promised, and each rule has a source."""
    rules()
    assert len(BEHAVIOURS) >= 25
    assert all(each.source and each.sentence for each in BEHAVIOURS.values())
