# SPDX-License-Identifier: Apache-2.0
"""What task code and build scripts import: `from imagekit import task, ImageSpec, File`.

Every task start that imports this pays for it, so names are found when they are first used, and
this module itself needs the interpreter's own modules only.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from entrypoint.context import current_context as current_context
    from entrypoint.decks import Deck as Deck
    from entrypoint.errors import RecoverableError as RecoverableError
    from entrypoint.process import on_cancel as on_cancel
    from entrypoint.types.files import Directory as Directory
    from entrypoint.types.files import File as File
    from entrypoint.types.hashes import HashMethod as HashMethod
    from entrypoint.types.pickles import Pickle as Pickle
    from imagekit.api import build as build
    from imagekit.api import plan as plan
    from imagekit.spec.model import ImageSpec as ImageSpec
    from imagekit.tasks.task import task as task

# Public name -> module:attribute. A module that begins with a dot is the runtime's.
_NAMES = {
    "Deck": ".decks:Deck",
    "Directory": ".types.files:Directory",
    "File": ".types.files:File",
    "HashMethod": ".types.hashes:HashMethod",
    "ImageSpec": "imagekit.spec.model:ImageSpec",
    "Pickle": ".types.pickles:Pickle",
    "RecoverableError": ".errors:RecoverableError",
    "build": "imagekit.api:build",
    "current_context": ".context:current_context",
    "on_cancel": ".process:on_cancel",
    "plan": "imagekit.api:plan",
    "task": "imagekit.tasks.task:task",
}
__all__ = [
    "Deck",
    "Directory",
    "File",
    "HashMethod",
    "ImageSpec",
    "Pickle",
    "RecoverableError",
    "build",
    "current_context",
    "on_cancel",
    "plan",
    "task",
]

_RUNTIME = "_imagekit_entrypoint"


if not TYPE_CHECKING:  # else a misspelt name would be any name

    def __getattr__(name: str) -> object:
        if name not in _NAMES:
            raise AttributeError(f"module 'imagekit' has no attribute {name!r}")
        module, _, attribute = _NAMES[name].partition(":")
        if module.startswith("."):
            module = _runtime() + module
        try:
            found: object = getattr(__import__(module, fromlist=[attribute]), attribute)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"imagekit.{name} needs the module {error.name}, which is not installed here: "
                "images hold the runtime alone; the package imagekit brings all of it"
            ) from error
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _runtime() -> str:
    """The package name under which the runtime is loaded in this process.

    Under an image's ENTRYPOINT it runs already, and its very classes are handed out. Elsewhere it
    is entered by its path beside this package: `import entrypoint` might find a user's module.
    """
    if _RUNTIME not in sys.modules:
        package = type(sys)(_RUNTIME)
        beside = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        package.__path__ = [os.path.join(beside, "entrypoint")]
        sys.modules[_RUNTIME] = package
    return _RUNTIME
