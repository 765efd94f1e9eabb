# SPDX-License-Identifier: Apache-2.0
"""Programs that are run in an image while it is built, and the layers that they leave."""
