# SPDX-License-Identifier: Apache-2.0
"""Compares what is in two images, whoever built them."""
