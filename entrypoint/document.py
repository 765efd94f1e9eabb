# SPDX-License-Identifier: Apache-2.0
"""An exception made into what is left of it: error document, text for people, termination message.

Nothing in here trusts the exception: its text may be huge, hold lone surrogates, or raise itself.
"""

from __future__ import annotations

import os

from .errors import (
    EXIT_CODES,
    NON_RECOVERABLE,
    RECOVERABLE,
    SYSTEM,
    USER,
    EntrypointError,
    Interrupted,
    RecoverableError,
    ResolverError,
    UserError,
)
from .signals import SIGKILL, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

MESSAGE_LIMIT = 32 * 1024
TRACE_LIMIT = 64 * 1024
SHORT_LIMIT = 500
TERMINATION_LIMIT = 4096
_FLYTEKIT = "/site-packages/flytekit/"
_RUNTIME = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


class Failure:
    """How a run failed: `outcome` is a row of the exit code table, `code` is the document's."""

    __slots__ = ("code", "exit_code", "kind", "message", "origin", "outcome", "trace")

    def __init__(self, outcome: str, code: str, message: str, *, kind: int, origin: int) -> None:
        self.outcome = outcome
        self.code = code
        self.message = clipped(_without_secrets(message), MESSAGE_LIMIT)
        self.kind = kind
        self.origin = origin
        self.trace = ""
        self.exit_code = EXIT_CODES[outcome]


def task_failure(error: BaseException) -> Failure:
    """The user's own function raised this."""
    recoverable = any(
        each.__name__ == "FlyteRecoverableException" or issubclass(each, RecoverableError)
        for each in type(error).__mro__
    )
    outcome = "user-recoverable" if recoverable else "user"
    code = RecoverableError.code if recoverable else UserError.code
    kind = RECOVERABLE if recoverable else NON_RECOVERABLE
    failure = Failure(outcome, _own_code(error) or code, text_of(error), kind=kind, origin=USER)
    failure.trace = trace_of(error)
    return failure


def runtime_failure(error: BaseException) -> Failure:
    """Raised outside the user's function: one of ours, or a defect. URIs in it are redacted."""
    from .storage import redacted

    if isinstance(error, Interrupted):
        return interruption(error.signal_number)
    if not isinstance(error, EntrypointError):
        failure = Failure(
            "internal",
            EntrypointError.code,
            redacted(text_of(error)),
            kind=RECOVERABLE,
            origin=SYSTEM,
        )
        failure.trace = redacted(trace_of(error))
        return failure
    text = redacted(str(error))
    failure = Failure(error.outcome, error.code, text, kind=error.kind, origin=error.origin)
    if isinstance(error, ResolverError) and error.__cause__ is not None:
        failure.trace = trace_of(error.__cause__)
    return failure


def interruption(signal_number: int) -> Failure:
    message = f"stopped by {name_of(signal_number)} before the task ended"
    failure = Failure("interrupted", "SYSTEM:Interrupted", message, kind=RECOVERABLE, origin=SYSTEM)
    failure.exit_code = 128 + signal_number
    return failure


def timed_out(seconds: float | None) -> Failure:
    """Its own limit: the author's choice, and worth another try where the task has retries."""
    message = f"the task took longer than its timeout of {seconds} seconds"
    return Failure("timeout", "USER:Timeout", message, kind=RECOVERABLE, origin=USER)


def death(signal_number: int | None, status: int) -> Failure:
    """The task's process ended without a word: killed by a signal, or by `os._exit(status)`."""
    if signal_number == SIGKILL:
        message = "the task was killed by SIGKILL, as the kernel does when memory runs out"
        failure = Failure("user", "SYSTEM:Killed", message, kind=RECOVERABLE, origin=SYSTEM)
    elif signal_number is not None:
        message = f"the task crashed with {name_of(signal_number)}"
        failure = Failure("user", "USER:Crashed", message, kind=NON_RECOVERABLE, origin=USER)
    else:
        message = f"the task's process ended by itself with status {status}, without a result"
        return Failure("user", "USER:Exited", message, kind=NON_RECOVERABLE, origin=USER)
    failure.exit_code = 128 + signal_number
    return failure


def _without_secrets(text: str) -> str:
    from .secrets import masked

    return masked(text, os.environ)


def encoded(failure: Failure, seconds: float, worker: str) -> bytes:
    """The bytes of error.pb; the message has the form that Flyte's has."""
    from .wire.protobuf import encode

    message = f"Message:\n\n{_indented(failure.message)}"
    if failure.trace:
        message = f"Trace:\n\n{_indented(failure.trace)}\n{message}"
    timestamp = {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}
    error = {
        "code": clipped(failure.code, 256),
        "message": message,
        "kind": failure.kind,
        "origin": failure.origin,
        "timestamp": timestamp,
        "worker": worker,
    }
    return encode("ErrorDocument", {"error": error})


def shortened(failure: Failure) -> Failure:
    """The same without its trace, and with no more of its message than fits into a line or two."""
    short = Failure(
        failure.outcome,
        failure.code,
        clipped(failure.message, SHORT_LIMIT),
        kind=failure.kind,
        origin=failure.origin,
    )
    short.exit_code = failure.exit_code
    return short


def for_people(failure: Failure) -> str:
    return f"{failure.trace}imagekit: {failure.code}: {failure.message}\n"


def termination_message(failure: Failure) -> bytes:
    """At most 4096 bytes of JSON, which is what Kubernetes keeps of the termination log."""
    from json import dumps

    content = {
        "outcome": failure.outcome,
        "exit_code": failure.exit_code,
        "code": clipped(failure.code, 256),
        "kind": "RECOVERABLE" if failure.kind == RECOVERABLE else "NON_RECOVERABLE",
        "origin": "USER" if failure.origin == USER else "SYSTEM",
        "message": failure.message,
    }
    encoded_content = dumps(content, ensure_ascii=False).encode()
    while len(encoded_content) > TERMINATION_LIMIT:
        # Each character left out is at least one byte.
        excess = len(encoded_content) - TERMINATION_LIMIT
        content["message"] = str(content["message"])[: -excess - 1] + "…"
        encoded_content = dumps(content, ensure_ascii=False).encode()
    return encoded_content


def text_of(error: BaseException) -> str:
    name = type(error).__qualname__
    try:
        text = str(error)
    except BaseException as raised:  # noqa: BLE001
        text = f"(its text can't be had: __str__ raised {type(raised).__qualname__})"
    return f"{name}: {text}" if text else name


def trace_of(error: BaseException) -> str:
    """The traceback from the user's first frame on, causes first; empty where there is none."""
    try:
        from traceback import TracebackException

        _skip_our_frames(error)
        trace = "".join(TracebackException.from_exception(error).format())
        return clipped(_without_secrets(trace), TRACE_LIMIT)
    except Exception as raised:  # noqa: BLE001
        return f"(no traceback: {type(raised).__qualname__} while making it)\n"


def _skip_our_frames(error: BaseException) -> None:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        current.__traceback__ = _from_users_frame(current.__traceback__)
        current = current.__cause__ or current.__context__


def _from_users_frame(start: TracebackType | None) -> TracebackType | None:
    entry = start
    while entry is not None and _is_ours(entry.tb_frame.f_code.co_filename):
        entry = entry.tb_next
    return entry


def _is_ours(filename: str) -> bool:
    """Frames of the runtime, and of what stands between it and the user's code."""
    if filename.startswith((_RUNTIME, "<frozen importlib")) or _FLYTEKIT in filename:
        return True
    return filename.startswith(_STANDARD_LIBRARY) and "site-packages" not in filename


def _own_code(error: BaseException) -> str | None:
    """Flyte lets an exception choose its code by an attribute."""
    try:
        code = getattr(error, "error_code", None)
    except Exception:  # noqa: BLE001
        return None
    if isinstance(error, UserError):
        return error.code
    if isinstance(code, str | int) and not isinstance(code, bool) and code != "":
        return clipped(str(code), 256)
    return None


def clipped(text: str, limit: int) -> str:
    """At most about `limit` characters, the middle left out, and valid UTF-8."""
    if len(text) > limit:
        head, tail = limit * 3 // 4, limit // 4
        left_out = len(text) - head - tail
        text = f"{text[:head]}\n... {left_out} characters left out ...\n{text[-tail:]}"
    return text.encode("utf-8", "backslashreplace").decode()


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))
