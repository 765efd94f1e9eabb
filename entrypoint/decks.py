# SPDX-License-Identifier: Apache-2.0
"""Decks: what a task shows to people, a page of HTML beside its outputs.

The page holds each deck in a frame of its own, whose scripts can reach neither the site that shows
the page nor the other decks. It loads nothing from elsewhere. Values of secrets are masked.
"""

from __future__ import annotations

import os
from html import escape

from . import records
from .secrets import masked

made: list[Deck] = []


class Deck:
    """One part of the page, in the order in which they are made; to make one is to ask for a page.

    Example:
        >>> Deck("Training").append("<p>loss: 0.1</p>")
        <deck Training>
    """

    __slots__ = ("html", "name")

    def __init__(self, name: str, html: str = "") -> None:
        self.name = name
        self.html = html
        made.append(self)

    def append(self, html: str) -> Deck:
        """Add HTML as it is: text that is none has to be escaped (`html.escape`)."""
        self.html += html
        return self

    def __repr__(self) -> str:
        return f"<deck {self.name}>"


def write(prefix: str) -> None:
    """Store the page under the output prefix."""
    text = masked(_page(made), os.environ)
    records.show(prefix, text.encode("utf-8", "backslashreplace"))


def _page(decks: list[Deck]) -> str:
    frames = "".join(
        f"<details open><summary>{escape(deck.name)}</summary>"
        f'<iframe sandbox="allow-scripts" title="{escape(deck.name)}" '
        f'srcdoc="{escape(deck.html)}"></iframe></details>\n'
        for deck in decks
    )
    return f"{_HEAD}{frames}</body></html>\n"


_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Decks</title><style>
body { font-family: system-ui, sans-serif; margin: 1rem }
summary { cursor: pointer; font-weight: bold; padding: .5rem 0 }
iframe { border: 1px solid #ccc; height: 80vh; width: 100% }
</style></head><body>
"""
