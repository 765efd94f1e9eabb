# SPDX-License-Identifier: Apache-2.0
"""What a spec says: the model, and how YAML becomes it."""
