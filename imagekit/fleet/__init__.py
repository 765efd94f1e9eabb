# SPDX-License-Identifier: Apache-2.0
"""Many specs at once: which there are, which have to be built, and building them together."""
