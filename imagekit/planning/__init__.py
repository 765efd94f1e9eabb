# SPDX-License-Identifier: Apache-2.0
"""From spec and lock to the steps of a build."""
