"""SQLite's connections, whose writes take turns.

SQLite lets one write at a time. Whoever comes meanwhile sleeps and looks again, in the end every 100 ms, and may find
another one there each time: under load for a second and more, in which an answer is given and not yet recorded. A lock
wakes the next one at once, and the record of an answer goes before everything else.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# So long a transaction waits for those that write before it.
WRITE_SECONDS = 30
# A disk without room shows as one of these.
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "BEGIN I")
# Named at the beginning of the statement with which DBOS records what a job did.
URGENT = "operation_outputs"
# That, and how a job ended, must not be lost: on a full disk DBOS tries it again when it is told that this passes.
LASTING = (URGENT, "UPDATE main.workflow_status")


@dataclass(frozen=True, slots=True)
class Turns:
    """What connections share.

    Attributes:
        writing: held by who writes.
        line: held by the one ordinary write that writes or is the next to; what is urgent does not stand in line.
    """

    writing: threading.Lock = field(default_factory=threading.Lock)
    line: threading.Lock = field(default_factory=threading.Lock)


class Cursor(sqlite3.Cursor):
    """Waits for its connection's turn before it begins to write."""

    connection: Connection

    def execute(self, sql: str, *arguments: Any) -> Cursor:
        """Run a statement, in turn."""
        self.connection.before(sql)
        with self.connection.passing():
            super().execute(sql, *arguments)
        return self

    def executemany(self, sql: str, *arguments: Any) -> Cursor:
        """Run a statement many times, in turn."""
        self.connection.before(sql)
        super().executemany(sql, *arguments)
        return self


class Connection(sqlite3.Connection):
    """Writes in turns with the other connections of this process.

    Args:
        turns: what they share, held from a transaction's first write to its end.
        arguments, options: of `sqlite3.Connection`.
    """

    def __init__(self, turns: Turns, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turns = turns
        self._held: list[threading.Lock] = []
        self._lasts = False

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a cursor that keeps to the turns."""
        return super().cursor(factory)

    def before(self, sql: str) -> None:
        """Wait for our turn if this begins to write.

        Raises:
            sqlite3.OperationalError: it did not come.
        """
        if self._held or not sql.lstrip()[:7].upper().startswith(WRITES):
            return
        is_urgent = URGENT in sql[:40]
        self._lasts = any(beginning in sql[:40] for beginning in LASTING)
        for lock in (self._turns.writing,) if is_urgent else (self._turns.line, self._turns.writing):
            if not lock.acquire(timeout=WRITE_SECONDS):
                self._end_turn()
                raise sqlite3.OperationalError("database is locked")
            self._held.append(lock)

    def commit(self) -> None:
        """Commit, and let the next one write. What fails to commit is rolled back by who sees it fail."""
        with self.passing():
            super().commit()
        self._end_turn()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Call a full disk what DBOS waits for, where it is about what has happened already."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if self._lasts and error.sqlite_errorcode in FULL:
                raise sqlite3.OperationalError(f"{error}, as if the database is locked") from error
            raise

    def rollback(self) -> None:
        """Roll back, and let the next one write."""
        try:
            super().rollback()
        finally:
            self._end_turn()

    def close(self) -> None:
        """Close, and let the next one write."""
        try:
            super().close()
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        while self._held:
            self._held.pop().release()
