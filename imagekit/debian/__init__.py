# SPDX-License-Identifier: Apache-2.0
"""The embedded base: a root file system with Python, assembled from Debian packages.

Neither root, nor Docker, nor dpkg is needed. In the order of use: `sources.find_mirrors`,
`assemble.resolve_base` (its result goes into the lock), `assemble.download_debs`,
`store.unpack_tree`, `layer.write_layer`.
"""
