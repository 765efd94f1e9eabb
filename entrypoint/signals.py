# SPDX-License-Identifier: Apache-2.0
"""The operating system's signals, without the enums that `signal` wraps around the same functions.

`_signal` is built into every CPython and is loaded at interpreter start; `signal` would import
`enum`, `collections` and `functools` at every task start, about half of a bare interpreter's time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

SIG_BLOCK = _signal.SIG_BLOCK
SIG_DFL = _signal.SIG_DFL
SIG_IGN = _signal.SIG_IGN
SIG_SETMASK = _signal.SIG_SETMASK
SIGALRM = int(_signal.SIGALRM)
SIGCHLD = int(_signal.SIGCHLD)
SIGCONT = int(_signal.SIGCONT)
SIGHUP = int(_signal.SIGHUP)
SIGINT = int(_signal.SIGINT)
SIGKILL = int(_signal.SIGKILL)
SIGPIPE = int(_signal.SIGPIPE)
SIGQUIT = int(_signal.SIGQUIT)
SIGTERM = int(_signal.SIGTERM)
SIGTSTP = int(_signal.SIGTSTP)
SIGTTOU = int(_signal.SIGTTOU)
SIGUSR1 = int(_signal.SIGUSR1)
SIGUSR2 = int(_signal.SIGUSR2)
SIGXFSZ = int(_signal.SIGXFSZ)
ITIMER_REAL = _signal.ITIMER_REAL
default_int_handler = _signal.default_int_handler
getsignal = _signal.getsignal
pthread_sigmask = _signal.pthread_sigmask
setitimer = _signal.setitimer
set_handler = _signal.signal

# Linux's numbers, from 1.
_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)


def name_of(number: int) -> str:
    names = _NAMES.split()
    return f"SIG{names[number - 1]}" if 0 < number <= len(names) else f"signal {number}"
