# SPDX-License-Identifier: Apache-2.0
"""Bringing model files into a folder: from a hub, a registry, the web, or an object store."""
