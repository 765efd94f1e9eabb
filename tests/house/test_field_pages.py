# SPDX-License-Identifier: Apache-2.0
"""docs/reference/fields: a page for each field, as its table makes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imagekit.spec.fields import FIELDS
from imagekit.spec.load import parse_spec
from imagekit.spec.pages import PAGES, pages
from tests.house.project import ROOT

FOLDER = ROOT / "docs" / "reference" / "fields"


def test_there_is_a_page_for_each_field() -> None:
    """And none for what is no field; `make golden` writes them."""
    if os.environ.get("UPDATE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        for path in FOLDER.glob("*.md"):
            path.unlink()
        for name, text in pages().items():
            (FOLDER / name).write_text(text)
    assert {path.name: path.read_text() for path in FOLDER.glob("*.md")} == pages()


def test_each_field_that_works_says_what_it_changes() -> None:
    """And only those."""
    assert set(PAGES) == {name for name, field in FIELDS.items() if field.works}


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.example])
def test_each_example_is_a_spec(name: str, tmp_path: Path) -> None:
    """It loads as it stands."""
    if "matrix" in name:
        return
    parse_spec(PAGES[name].example + "\n", source=f"{name}.md", folder=tmp_path)
