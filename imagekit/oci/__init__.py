# SPDX-License-Identifier: Apache-2.0
"""OCI images as immutable values: layers, manifests, configs, and the places they live in."""
