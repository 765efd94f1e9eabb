# SPDX-License-Identifier: Apache-2.0
"""From wheels, .debs and folders to layers with the same bytes everywhere."""
