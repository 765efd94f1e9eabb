# SPDX-License-Identifier: Apache-2.0
"""The authoring side: what turns a function into a task."""
