# SPDX-License-Identifier: Apache-2.0
"""Bases as data."""
