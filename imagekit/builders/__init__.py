# SPDX-License-Identifier: Apache-2.0
"""Ways to turn a spec and its lock into an image. Planning a build loads no builder."""
