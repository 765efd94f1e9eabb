# SPDX-License-Identifier: Apache-2.0
"""What plugins need in an image: the folders of `imagekit/plugins`, read and compared."""
