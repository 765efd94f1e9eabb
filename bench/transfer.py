# SPDX-License-Identifier: Apache-2.0
"""Moves a folder to or from a bucket, once: `python transfer.py WHO HOW URI FOLDER`.

WHO is `imagekit`, the runtime's storage as a task uses it, or `obstore`, the library alone. Run by
an interpreter that has obstore; never imported.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

AT_ONCE = 8


def with_imagekit(how: str, uri: str, folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    storage = importlib.import_module("entrypoint.storage").storage_for(uri)
    names = os.listdir(folder) if folder.exists() else []
    if how == "put":
        storage.store(str(folder / names[0] if len(names) == 1 else folder), uri)
        return
    shutil.move(storage.fetch(uri), folder)


def with_obstore(how: str, uri: str, folder: Path) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    store = importlib.import_module("obstore.store").S3Store(
        bucket,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    if how == "put":
        files = sorted(folder.iterdir())
        pairs = [(key if len(files) == 1 else f"{key}/{path.name}", path) for path in files]
        asyncio.run(_at_once(lambda pair: store.put_async(*pair), pairs))
        return
    found = [each["path"] for batch in store.list(key) for each in batch]
    if found:
        folder.mkdir()
    pairs = [(path, folder / path.rpartition("/")[2]) for path in found] or [(key, folder)]
    asyncio.run(_at_once(lambda pair: _fetched(store, *pair), pairs))


async def _fetched(store: Any, key: str, path: Path) -> None:
    with path.open("wb") as file:
        async for chunk in (await store.get_async(key)).stream():
            file.write(chunk)


async def _at_once(work: Any, items: list[Any]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> None:
        async with slots:
            await work(item)

    await asyncio.gather(*map(one, items))


if __name__ == "__main__":
    who, how, uri, folder = sys.argv[1:]
    {"imagekit": with_imagekit, "obstore": with_obstore}[who](how, uri, Path(folder))
    # obstore's asynchronous side at times aborts an interpreter that ends in the usual way.
    os._exit(0)
