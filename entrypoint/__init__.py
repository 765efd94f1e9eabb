# SPDX-License-Identifier: Apache-2.0
"""The runtime inside images, the container's ENTRYPOINT.

Standard library and relative imports only.

It always runs under the private name `_imagekit_entrypoint` (see `__main__`), so that a user's own
`entrypoint.py` stays the user's. Start reading at `run.py`; the command line is in `contract.py`.
"""
