# SPDX-License-Identifier: Apache-2.0
"""Receipts of builds: what was read, what came of it, and where that is.

A command that was carried out leaves one. Given again, while all that it read is as it was and the
image is still in its place, it is answered from the receipt, and nothing of imagekit is loaded.
"""
