# SPDX-License-Identifier: Apache-2.0
"""What lies in the caches and the local store, who uses it, and how it is bounded."""
