"""Files by their address: a local path, or what fsspec reads, such as s3://bucket/key or memory://name.

Whole files only, read and written at once: an object store knows nothing smaller, and everything of ours fits into
memory. universal-pathlib has more of a path's methods, but would leave the errors of every store to every caller.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import fsspec

_In = TypeVar("_In")
_Out = TypeVar("_Out")

# What stores say -> what people can do about it; the first that fits.
_REASONS = (
    ("NoSuchBucket", "there is no such bucket"),
    # Without keys, the client asks the machine for some, as a machine in a cloud has them.
    ("/latest/", "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (
        "InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|Forbidden|Unauthorized|PermissionDenied|Unauthenticated",
        "access was refused; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and what they may do",
    ),
    (
        "error sending request|connect|dns|timed out|timeout",
        "the server cannot be reached; check the network and AWS_ENDPOINT_URL",
    ),
)


class DataError(Exception):
    """The data given are not what they should be; the message says which file and what was expected."""


@dataclass(frozen=True, slots=True, order=True)
class Remote:
    """A file or folder that is not local, with the part of `pathlib.Path` that training needs.

    Every method but the reading of a missing file (FileNotFoundError) answers trouble with DataError.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.address.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.address.rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> Remote:
        """The folder it lies in."""
        return Remote(self.address.rstrip("/").rpartition("/")[0])

    def is_file(self) -> bool:
        """Whether such a file exists."""
        return self._type() == "file"

    def is_dir(self) -> bool:
        """Whether anything lies under this address."""
        return self._type() == "directory"

    def glob(self, pattern: str) -> list[Remote]:
        """Return the files whose address below this one fits, as `pathlib.Path.glob` does for the same pattern."""
        scheme = self.address.partition("://")[0]
        found = self._do("glob", suffix=f"/{pattern}", detail=True)
        return [Remote(f"{scheme}://{path.lstrip('/')}") for path, info in found.items() if info["type"] == "file"]

    def read_bytes(self) -> bytes:
        """Return the whole file."""
        return bytes(self._do("cat_file"))

    def write_bytes(self, content: bytes) -> None:
        """Write the whole file."""
        self._do("pipe_file", content)

    def mkdir(self, **_: bool) -> None:
        """Make the folder, where the store knows folders."""
        self._do("makedirs", exist_ok=True)

    def _type(self) -> str | None:
        try:
            return str(self._do("info")["type"])  # fsspec's own isfile takes every error for a no
        except FileNotFoundError:
            return None

    def _do(self, method: str, *arguments: Any, suffix: str = "", **options: Any) -> Any:
        try:
            store, path = _store(self.address)
            return getattr(store, method)(path.rstrip("/") + suffix, *arguments, **options)
        except FileNotFoundError as error:
            if re.search("NoSuchBucket", str(error)):
                raise DataError(f"{self}: there is no such bucket") from error
            raise
        except Exception as error:  # every store has errors of its own
            raise DataError(f"{self}: {_reason(error)}") from error


Place = Path | Remote


def place(address: str) -> Place:
    """Return the file or folder at a local path or fsspec address."""
    return Remote(address) if "://" in address else Path(address)


def check_writable(folder: Path) -> None:
    """Raise DataError where nothing can be written in a folder, which need not be there yet.

    So nobody works for hours to learn it.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise DataError(f"{folder}: nothing can be written in {there}")


def make_folder(folder: Place) -> None:
    """Make a folder to write in, if it is not there yet.

    Raises:
        DataError: it cannot be made or written in.
    """
    if isinstance(folder, Path):
        check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror}") from error


def write(to: Place, content: bytes) -> None:
    """Write a whole file, or after an interruption none: no half file stands under the right name.

    Raises:
        DataError: it cannot be written.
    """
    if isinstance(to, Remote):
        to.write_bytes(content)
        return
    part = to.with_name(f"{to.name}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(to)
    except OSError as error:
        raise DataError(f"{to}: cannot be written: {error.strerror}") from error


@contextmanager
def local(of: Place) -> Iterator[Path]:
    """Lend a local file of the same name and content, for readers that want one; a local file lends itself."""
    if isinstance(of, Path):
        yield of
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / of.name
        if of.is_file():
            copy.write_bytes(of.read_bytes())
        yield copy


def in_threads(work: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
    """Return `work` of every item, in order; a far store answers sixteen questions as soon as one."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(work, items))


def open_bytes(of: Place) -> io.BufferedReader:
    """Open a file for reading; a remote one is fetched first."""
    return of.open("rb") if isinstance(of, Path) else io.BufferedReader(io.BytesIO(of.read_bytes()))


def files(folder: Place, pattern: str) -> list[Place]:
    """Return the files in a folder, sorted, whose path within fits a pattern of `pathlib.Path.glob`."""
    if isinstance(folder, Path):
        return [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    return [*sorted(folder.glob(pattern))]


def _store(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    if address.startswith("s3://"):
        from training.s3 import S3

        return S3(), address.removeprefix("s3://")
    store, path = fsspec.url_to_fs(address)
    return store, str(path)


def _reason(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"
    for pattern, reason in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return reason
    first, *_ = str(error).splitlines() or [type(error).__name__]
    return first[:200]
