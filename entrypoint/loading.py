# SPDX-License-Identifier: Apache-2.0
"""Importing the user's modules and finding what they define."""

from __future__ import annotations

import sys

from .errors import Interrupted, ResolverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load(module_name: str, path: str) -> Any:
    """The object at a dotted path inside a module."""
    found = import_module(module_name)
    for index, name in enumerate(path.split(".")):
        try:
            found = getattr(found, name)
        except AttributeError:
            from .suggest import suggestion

            where = ".".join([module_name, *path.split(".")[:index]])
            hint = suggestion(name, [each for each in dir(found) if not each.startswith("_")])
            raise ResolverError(f"{where} has no {name!r}{hint}") from None
    return found


def load_dotted(location: str) -> Any:
    """The object that `package.module.attribute` names."""
    module_name, _, attribute = location.rpartition(".")
    if not module_name:
        raise ResolverError(f"{location} is not of the form module.object")
    return load(module_name, attribute)


def import_module(name: str) -> Any:
    try:
        __import__(name)
        return sys.modules[name]
    except Interrupted:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            places = ", ".join(path for path in sys.path if path)
            raise ResolverError(f"importing {name}: no such module in {places}") from None
        from .document import text_of

        raise ResolverError(f"importing {name}: {text_of(error)}") from error
