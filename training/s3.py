"""S3 and the stores that speak like it, as a file system of fsspec.

s3fs, fsspec's usual choice, cannot stand beside python-dateutil 4; obstore asks for nothing. It reads the same AWS_
variables. Its own bridge to fsspec is asynchronous and may abort the interpreter's end, so this one is not.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import fsspec
import obstore
from obstore.store import S3Store


class S3(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Whole objects: their names, reading and writing. Paths are bucket/key."""

    protocol = "s3"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size and type of an object or folder; raises FileNotFoundError."""
        bucket, _slash, key = path.strip("/").partition("/")
        try:
            if key:
                return _file(bucket, obstore.head(_bucket(bucket), key))
        except FileNotFoundError:  # a folder, perhaps
            pass
        if not self.ls(path) and key:
            raise FileNotFoundError(path)
        return {"name": path.strip("/"), "size": 0, "type": "directory"}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return what lies directly in a folder: like `info`, or names alone."""
        bucket, _slash, key = path.strip("/").partition("/")
        found = obstore.list_with_delimiter(_bucket(bucket), f"{key}/" if key else None)
        folders = [
            {"name": f"{bucket}/{name.rstrip('/')}", "size": 0, "type": "directory"}
            for name in found["common_prefixes"]
        ]
        both = [*folders, *(_file(bucket, each) for each in found["objects"])]
        return both if detail else [each["name"] for each in both]

    def cat_file(self, path: str, **_: Any) -> bytes:
        """Return an object."""
        bucket, _slash, key = path.partition("/")
        return bytes(obstore.get(_bucket(bucket), key).bytes())

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        """Write an object; in parts, where it is large."""
        bucket, _slash, key = path.partition("/")
        obstore.put(_bucket(bucket), key, value)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: folders are a part of names here."""


def _file(bucket: str, found: Any) -> dict[str, Any]:
    return {"name": f"{bucket}/{found['path']}", "size": found["size"], "type": "file"}


@cache
def _bucket(name: str) -> S3Store:
    return S3Store(
        name,
        client_options={"allow_http": True, "connect_timeout": timedelta(seconds=5), "timeout": timedelta(minutes=5)},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
    )
