# SPDX-License-Identifier: Apache-2.0
"""Wheels of what comes without: folders, archives and git repositories, built on this machine."""
