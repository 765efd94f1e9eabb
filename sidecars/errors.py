# SPDX-License-Identifier: Apache-2.0
"""Every error of this package.

SidecarError
├── OptionError        the sidecar itself is described wrongly; lists all its problems
├── FilesError         model files can't be had, or are not the ones that are meant
├── PodError           the pod can't take it, or would not run; lists all its problems
└── ServerError        in the task: the model does not answer
    ├── ServerDiedError     something listened before, and nothing does now
    ├── ServerSlowError     the time is up, and it was still starting or loading
    └── ServerRefusedError  it answered, and waiting longer would change nothing
"""

from __future__ import annotations

from collections.abc import Sequence


class SidecarError(Exception):
    """Base of all; `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} ({hint})")
        self.message = message
        self.hint = hint


class _ProblemsError(SidecarError):
    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems), hint=hint)


class OptionError(_ProblemsError):
    pass


class FilesError(SidecarError):
    pass


class PodError(_ProblemsError):
    pass


class ServerError(SidecarError):
    pass


class ServerDiedError(ServerError):
    pass


class ServerSlowError(ServerError):
    pass


class ServerRefusedError(ServerError):
    pass
