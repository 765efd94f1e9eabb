# SPDX-License-Identifier: Apache-2.0
"""Times builds and task starts beside their peers, in one run; see README.md."""
