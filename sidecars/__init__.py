# SPDX-License-Identifier: Apache-2.0
"""Model servers beside a task, in its pod: `attach` puts one there, `connect` finds it.

    from sidecars import Sidecar, VLLM, attach
    pod = attach(pod, Sidecar(engine=VLLM(), model="org/model", weights="16Gi"))

and in the task

    server = sidecars.connect()

Standard library and relative imports only. Names are found when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .attaching import attach as attach
    from .check import problems_of as problems_of
    from .client import Connection as Connection
    from .client import connect as connect
    from .engines.nim import NIM as NIM
    from .engines.ollama import Ollama as Ollama
    from .engines.openai import OpenAI as OpenAI
    from .engines.vllm import VLLM as VLLM
    from .errors import FilesError as FilesError
    from .errors import OptionError as OptionError
    from .errors import PodError as PodError
    from .errors import ServerDiedError as ServerDiedError
    from .errors import ServerRefusedError as ServerRefusedError
    from .errors import ServerSlowError as ServerSlowError
    from .errors import SidecarError as SidecarError
    from .files import ModelFiles as ModelFiles
    from .kube import attach_to_model as attach_to_model
    from .kube import attach_to_template as attach_to_template
    from .sidecar import SecretKey as SecretKey
    from .sidecar import Sidecar as Sidecar

# Public name -> module of this package.
_NAMES = {
    "Connection": "client",
    "FilesError": "errors",
    "ModelFiles": "files",
    "NIM": "engines.nim",
    "Ollama": "engines.ollama",
    "OpenAI": "engines.openai",
    "OptionError": "errors",
    "PodError": "errors",
    "SecretKey": "sidecar",
    "ServerDiedError": "errors",
    "ServerRefusedError": "errors",
    "ServerSlowError": "errors",
    "Sidecar": "sidecar",
    "SidecarError": "errors",
    "VLLM": "engines.vllm",
    "attach": "attaching",
    "attach_to_model": "kube",
    "attach_to_template": "kube",
    "connect": "client",
    "problems_of": "check",
}
if not TYPE_CHECKING:  # else a misspelt name would be any name

    def __getattr__(name: str) -> object:
        if name not in _NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = __import__(f"{__name__}.{_NAMES[name]}", fromlist=[name])
        found: object = getattr(module, name)
        globals()[name] = found
        return found
