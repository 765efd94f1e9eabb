# SPDX-License-Identifier: Apache-2.0
"""A client of BuildKit: a build's files, secrets and results over gRPC, no other program needed."""
