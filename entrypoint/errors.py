# SPDX-License-Identifier: Apache-2.0
"""Every failure that the runtime knows, and the exit code, kind and origin of each.

    EntrypointError                 internal           1
    ├── UsageError                  usage              2
    ├── UserError                   user               10   the task's own code, values or types
    │   └── RecoverableError        user-recoverable   11   raised by user code to ask for a retry
    ├── InputsMissingError          inputs-missing     12
    ├── InputsCorruptError          inputs-corrupt     13
    ├── OutputsError                outputs-failed     14
    ├── ResolverError               resolver           15   no such resolver, module or task
    ├── UnsupportedError            unsupported        16
    ├── BundleError                 bundle             17   the code bundle is refused
    └── PackagesError               packages           18   installing at the start failed
    Interrupted (SystemExit)        interrupted        143  SIGTERM; other signals 128 + number
                                    timeout            124  what SIGTERM means after --timeout

The class decides who is at fault and whether a retry makes sense; the text never does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

EXIT_CODES = {
    "ok": 0,
    "internal": 1,
    "usage": 2,
    "user": 10,
    "user-recoverable": 11,
    "inputs-missing": 12,
    "inputs-corrupt": 13,
    "outputs-failed": 14,
    "resolver": 15,
    "unsupported": 16,
    "bundle": 17,
    "packages": 18,
    "timeout": 124,
    "interrupted": 143,
}

# ContainerError.Kind and ExecutionError.ErrorKind of flyteidl.
NON_RECOVERABLE, RECOVERABLE = 0, 1
USER, SYSTEM = 1, 2


class EntrypointError(Exception):
    """Base of all; as itself, a defect of the runtime. `code` is the error document's."""

    outcome: ClassVar[str] = "internal"
    code: str = "SYSTEM:Internal"
    kind: ClassVar[int] = RECOVERABLE
    origin: ClassVar[int] = SYSTEM


class UsageError(EntrypointError):
    outcome = "usage"
    code = "USER:Usage"
    kind = NON_RECOVERABLE
    origin = USER


class UserError(EntrypointError):
    """The user's code raised, or its values or types are wrong; the cause is the user's own."""

    outcome = "user"
    code = "USER:RuntimeError"
    kind = NON_RECOVERABLE
    origin = USER

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class RecoverableError(UserError):
    """Raise it in a task to say: this failed, but trying again may work."""

    outcome = "user-recoverable"
    code = "USER:Recoverable"
    kind = RECOVERABLE


class ConversionError(UserError):
    """A value does not fit its type; `path` says where inside it, outermost step first."""

    code = "USER:WrongType"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def inside(self, step: str) -> ConversionError:
        """The same error, one container further out (`[3]`, `.name`, `outputs.o0`)."""
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class InputsMissingError(EntrypointError):
    outcome = "inputs-missing"
    code = "SYSTEM:InputsMissing"


class InputsCorruptError(EntrypointError):
    outcome = "inputs-corrupt"
    code = "SYSTEM:InputsCorrupt"


class OutputsError(EntrypointError):
    outcome = "outputs-failed"
    code = "SYSTEM:OutputsFailed"


class ResolverError(EntrypointError):
    outcome = "resolver"
    code = "USER:Resolver"
    kind = NON_RECOVERABLE
    origin = USER


class UnsupportedError(EntrypointError):
    outcome = "unsupported"
    code = "USER:Unsupported"
    kind = NON_RECOVERABLE
    origin = USER


class BundleError(EntrypointError):
    """The code bundle is not what its digest says, or holds what no code bundle holds."""

    outcome = "bundle"
    code = "USER:Bundle"
    kind = NON_RECOVERABLE
    origin = USER


class PackagesError(EntrypointError):
    """Packages that are to be installed at the start were not: an index may have been away."""

    outcome = "packages"
    code = "SYSTEM:RuntimePackages"


class Interrupted(SystemExit):
    """A signal asks the task to stop. A SystemExit, so that `except Exception` lets it pass."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(128 + signal_number)
        self.signal_number = signal_number
