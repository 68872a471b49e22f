"""What a program uses, all its processes together: the bot's readers are processes of their own. Linux only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def family(process: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parents[int(folder.name)] = int(_fields(int(folder.name))[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    yield from found


def is_alive(process: int) -> bool:
    """Return whether there is such a process that has not ended; one that nobody has asked for its status has."""
    with suppress(OSError):
        return _fields(process)[0] != "Z"
    return False


def megabytes(process: int) -> float:
    """Return the resident memory of a process and its descendants in MB; a page that n of them share counts once."""
    return sum(_proportional_kilobytes(one) for one in family(process)) / 1024


def processor_seconds(processes: Iterable[int]) -> float:
    """Return the processor time of some processes."""
    ticks = 0
    for process in processes:
        with suppress(OSError):
            ticks += sum(map(int, _fields(process)[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _proportional_kilobytes(process: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0


def _fields(process: int) -> list[str]:
    """Return what stands in its stat file behind the name, which may hold anything."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
