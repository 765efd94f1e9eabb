# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 over the standard library's client: kept connections, proxies, the user's CAs.

One exchange at a time, without redirects, cookies, second tries or any credentials but a proxy's:
what those should be is for registries and for downloads to say.
"""
