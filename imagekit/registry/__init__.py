# SPDX-License-Identifier: Apache-2.0
"""Registries by OCI's distribution-spec 1.1: images come from them and go to them.

Start at `imagekit.registry.client`. Importing any module here but `transport` loads no HTTP
library: that happens when a registry is first asked something.
"""
