# SPDX-License-Identifier: Apache-2.0
"""Each file in bad/ is a spec that is refused; bad/expected.txt says how.

`UPDATE_GOLDEN=1` writes expected.txt anew; the diff is what gets reviewed.
"""

import os
from pathlib import Path

import pytest

from imagekit.errors import SpecError
from imagekit.spec.load import load_spec

BAD = Path(__file__).parent / "bad"
EXPECTED = BAD / "expected.txt"


def _refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_every_bad_spec_is_refused_with_its_lines_and_what_to_do() -> None:
    """All problems of a file come in one report, with lines, and no secret is repeated."""
    found = "\n\n".join(_refusal(path) for path in sorted(BAD.glob("*.yaml"))) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        EXPECTED.write_text(found)
    assert found == EXPECTED.read_text()
    assert "secret@" not in found


def test_corpus_is_large() -> None:
    """The corpus holds at least a hundred specs."""
    assert len(list(BAD.glob("*.yaml"))) >= 100
