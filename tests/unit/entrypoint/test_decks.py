# SPDX-License-Identifier: Apache-2.0
"""Decks: the page that a task leaves for people."""

from __future__ import annotations

import html.parser

import pytest

from tests.house.project import ROOT
from tests.unit.entrypoint.workdir import Workdir

TASKS = f"""
import sys
sys.path.append({str(ROOT)!r})
from imagekit import Deck

def shows(x: int) -> int:
    Deck("<Train>").append('<p title="a">one</p>').append("<script>alert(1)</script>")
    Deck("<Train>", "canary-value")
    if not x:
        raise ValueError("after the deck")
    return x

def plain(x: int) -> int:
    return x
"""


class Frames(html.parser.HTMLParser):
    """What a browser finds in the page: the frames' documents, and anything that would run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.frames: list[str] = []
        self.summaries: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "iframe":
            assert dict(attrs)["sandbox"] == "allow-scripts"
            self.frames.append(dict(attrs)["srcdoc"] or "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "summary" and data.strip():
            self.summaries.append(data)


@pytest.mark.parametrize("x", [1, 0])
def test_the_page_is_left_beside_outputs_and_errors(workdir: Workdir, x: int) -> None:
    """Decks of one name both stay, their scripts are shut in, and secrets are masked."""
    workdir.module("tasks", TASKS)
    workdir.inputs({"x": x})
    result = workdir.execute("tasks:shows", environ={"_FSEC_TOKEN": "canary-value"})
    assert result.code == (0 if x else 10), result.stderr
    assert (workdir.prefix / ("outputs.pb" if x else "error.pb")).exists()
    page = Frames((workdir.prefix / "deck.html").read_text())
    assert page.summaries == ["<Train>", "<Train>"]
    assert page.frames == ['<p title="a">one</p><script>alert(1)</script>', "[secret]"]
    assert not page.tags & {"script", "link", "img"}


def test_no_page_where_none_is_asked_for_nor_an_old_one(workdir: Workdir) -> None:
    """An earlier attempt's page goes with its records."""
    workdir.module("tasks", TASKS)
    workdir.inputs({"x": 1})
    assert workdir.execute("tasks:shows").code == 0
    assert workdir.execute("tasks:plain").code == 0
    assert [path.name for path in workdir.prefix.iterdir()] == ["outputs.pb"]
