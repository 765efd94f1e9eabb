# SPDX-License-Identifier: Apache-2.0
"""Debian packages on top of a base, as apt and dpkg would install them.

In the order of use: `resolve.resolve_apt` (its result goes into the lock), `layer.write_group` for
each layer of packages, then `register.write_registration`, or where scripts have to run what
`configure` says, which the image's own dpkg does.
"""
