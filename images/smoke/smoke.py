# SPDX-License-Identifier: Apache-2.0
"""Looks at the image that it runs in, from within: `imagekit run IMAGE smoke:check`."""

import importlib
import os
import pathlib
import ssl
import sys


def check(modules: "list[str]") -> "dict[str, str]":
    """Import `modules`, and look at what any task leans on; what was found, by name."""
    found = {
        name: str(getattr(importlib.import_module(name), "__version__", "")) for name in modules
    }
    assert ssl.create_default_context().get_ca_certs(), "no CA certificates"
    assert (os.getuid(), os.getgid()) == (1000, 0), "not the image's user"
    pathlib.Path("~/written").expanduser().write_text("by the image's user")
    return {**found, "python": sys.version.split()[0]}
