# SPDX-License-Identifier: Apache-2.0
"""Which files of a tree stay out of an image: .gitignore and .dockerignore."""
