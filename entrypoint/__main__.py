# SPDX-License-Identifier: Apache-2.0
"""Start the runtime under its private name.

Both `python -I -m entrypoint` and `python -I .../entrypoint/__main__.py` come here. A user's own
module `entrypoint` must still be importable by the task, so the package is entered a second time
under a name that nobody uses, and its public name is given back.
"""

import os
import sys

PRIVATE_NAME = "_imagekit_entrypoint"


def start() -> int:
    package = type(sys)(PRIVATE_NAME)
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[PRIVATE_NAME] = package
    sys.modules.pop("entrypoint", None)
    supervisor = __import__(f"{PRIVATE_NAME}.supervisor", fromlist=["main"])
    return int(supervisor.main(sys.argv[1:], os.environ))


if __name__ == "__main__":
    sys.exit(start())
