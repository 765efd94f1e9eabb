# SPDX-License-Identifier: Apache-2.0
"""Pods on this machine: the kubelet's rules, with Docker or Podman as the container runtime."""

from __future__ import annotations
