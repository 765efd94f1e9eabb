# SPDX-License-Identifier: Apache-2.0
"""Every error that imagekit raises on purpose.

    ImagekitError              exit code 1
    ├── SpecError              3   the spec is wrong; lists all its problems
    ├── LockError              4   the lock is missing, stale, or can't be resolved
    ├── FetchError             5   something could not be downloaded
    ├── IntegrityError         6   bytes are not what was promised, or are hostile
    ├── BuildError             7   an image can't be built or written
    ├── EngineError            8   nothing here can run the image
    ├── RegistryError          9   a registry refuses, or can't be asked
    └── PodError              10   a pod can't be run here; lists all its problems

Exit code 2 is a wrong command line (click's own).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class ImagekitError(Exception):
    """Base of all; `hint` says what to do next, and is printed after the message."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a spec, where it stands (1-based), and what would be right."""

    message: str
    line: int | None = None
    hint: str | None = None


class SpecError(ImagekitError):
    exit_code = 3

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        lines = []
        for problem in self.problems:
            where = self.source if problem.line is None else f"{self.source}:{problem.line}"
            hint = "" if problem.hint is None else f" ({problem.hint})"
            lines.append(f"{where}: {problem.message}{hint}")
        return lines


class LockError(ImagekitError):
    exit_code = 4


class FetchError(ImagekitError):
    exit_code = 5


class IntegrityError(ImagekitError):
    exit_code = 6


class BuildError(ImagekitError):
    exit_code = 7


class EngineError(ImagekitError):
    exit_code = 8


class RegistryError(ImagekitError):
    """A registry can't be reached, or has refused; `status` and `code` are its own words."""

    exit_code = 9

    def __init__(
        self, message: str, *, hint: str | None = None, status: int | None = None, code: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class PodError(ImagekitError):
    """`problems` each name the field by its path, or what is missing."""

    exit_code = 10

    def __init__(self, source: str, problems: Sequence[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems), hint=hint)
