# SPDX-License-Identifier: Apache-2.0
"""What `imagekit inspect` shows of an image: as plain data, and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from imagekit.oci.image import Image
from imagekit.sizes import shown_size


def describe(image: Image) -> dict[str, Any]:
    """Plain data, from the two documents alone; no layer is read."""
    config = image.config
    container = config.object("config")
    return {
        "digest": image.digest,
        "config_digest": image.config_digest,
        "platform": str(image.platform),
        "created": config.text("created", ""),
        "user": container.text("User", ""),
        "workdir": container.text("WorkingDir", ""),
        "entrypoint": list(container.texts("Entrypoint")),
        "command": list(container.texts("Cmd")),
        "env": dict(item.partition("=")[::2] for item in container.texts("Env")),
        "labels": container.text_map("Labels"),
        "annotations": image.annotations,
        "size_bytes": sum(layer.size_bytes for layer in image.layers),
        "layers": [
            {
                "digest": layer.digest,
                "diff_id": layer.diff_id,
                "size_bytes": layer.size_bytes,
                "created_by": created_by,
            }
            for layer, created_by in zip(image.layers, _created_by(image), strict=True)
        ],
    }


def render(description: Mapping[str, Any]) -> str:
    """The same for people: one fact per line, layers as a table with the base first."""
    lines = [f"{name.replace('_', ' '):<14}{_fact(description[name])}" for name in _FACTS]
    for name in _GROUPS:
        lines += _group(name, description[name])
    layers = description["layers"]
    lines.append(f"layers ({len(layers)}, {shown_size(description['size_bytes'])})")
    lines += [
        f"  {layer['digest'][:19]}  {shown_size(layer['size_bytes']):>9}  "
        f"{_line(layer['created_by'])}"
        for layer in layers
    ]
    return "\n".join(lines) + "\n"


_FACTS = (
    "digest",
    "config_digest",
    "platform",
    "created",
    "user",
    "workdir",
    "entrypoint",
    "command",
)
_GROUPS = ("env", "labels", "annotations")


def _created_by(image: Image) -> Sequence[str]:
    entries = image.config.objects("history")
    found = [
        entry.text("created_by", "") for entry in entries if not entry.members.get("empty_layer")
    ]
    return found if len(found) == len(image.layers) else [""] * len(image.layers)


def _fact(value: str | Sequence[str]) -> str:
    return _line(value) if isinstance(value, str) else json.dumps(list(value), ensure_ascii=False)


def _group(name: str, values: Mapping[str, str]) -> list[str]:
    if not values:
        return []
    shown = {_line(key): _line(value) for key, value in sorted(values.items())}
    width = max(map(len, shown))
    return [name, *(f"  {key:<{width}}  {value}" for key, value in shown.items())]


def _line(text: str) -> str:
    """`text` on one line, and without the control characters that a hostile image may hold."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return shown or "-"
