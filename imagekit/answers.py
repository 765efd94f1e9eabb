# SPDX-License-Identifier: Apache-2.0
"""What the specs of one command ask alike: found out once, for as long as the command runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar, final

if TYPE_CHECKING:
    from concurrent.futures import Future

_Answer = TypeVar("_Answer")


@final
class Answers:
    """By question. Any thread may ask; of those that ask the same, one finds out."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: dict[Hashable, Future[Any]] = {}

    def once(self, question: Hashable, find_out: Callable[[], _Answer]) -> _Answer:
        """What `find_out` gave, or raised, for the first who asked; nobody changes it.

        `question` names all that the answer depends on, and of which kind it is.
        """
        from concurrent.futures import Future  # noqa: PLC0415 - plans ask nothing

        with self._guard:
            asked = self._known.get(question)
            answer: Future[Any] = self._known.setdefault(question, Future())
        if asked is None:
            try:
                answer.set_result(find_out())
            except BaseException as error:  # noqa: BLE001 - it is raised, for all who ask
                answer.set_exception(error)
        found: _Answer = answer.result()
        return found
