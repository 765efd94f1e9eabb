# SPDX-License-Identifier: Apache-2.0
"""From what a spec asks for to exactly what it gets, by digest."""
