"""SQLite's connections, whose writes take turns.

SQLite lets one write at a time. Whoever comes meanwhile sleeps and looks again, in the end every 100 ms, and may find
another one there each time: under load for a second and more, in which an answer is given and not yet recorded. A turn
is handed to the next one at once, and the record of an answer goes before everything else.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
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


class Turns:
    """Whose turn it is, for all connections of one process.

    A turn is handed over and never free for the taking while anyone waits, so nobody is overtaken by who came later.
    """

    def __init__(self) -> None:
        self._taken = False
        self._urgent: deque[threading.Event] = deque()
        self._ordinary: deque[threading.Event] = deque()
        self._changing = threading.Lock()

    def take(self, *, is_urgent: bool, seconds: float) -> bool:
        """Wait for a turn, at most so many seconds, before everything that is not urgent if this is.

        Returns:
            Whether it came. Then it has to be handed on.
        """
        mine = threading.Event()
        with self._changing:
            if not self._taken:
                self._taken = True
                return True
            line = self._urgent if is_urgent else self._ordinary
            line.append(mine)
        if mine.wait(seconds):
            return True
        with self._changing:
            if not mine.is_set():
                line.remove(mine)
            return mine.is_set()

    def hand_on(self) -> None:
        """End a turn."""
        with self._changing:
            line = self._urgent or self._ordinary
            if line:
                line.popleft().set()
            else:
                self._taken = False


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
        self._is_writing = False
        self._lasts = False

    def cursor(self, factory: Any = Cursor) -> Any:
        """Return a cursor that keeps to the turns."""
        return super().cursor(factory)

    def before(self, sql: str) -> None:
        """Wait for our turn if this begins to write.

        Raises:
            sqlite3.OperationalError: it did not come.
        """
        if self._is_writing or not sql.lstrip()[:7].upper().startswith(WRITES):
            return
        self._lasts = any(beginning in sql[:40] for beginning in LASTING)
        self._is_writing = self._turns.take(is_urgent=URGENT in sql[:40], seconds=WRITE_SECONDS)
        if not self._is_writing:
            raise sqlite3.OperationalError("database is locked")

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
        if self._is_writing:
            self._is_writing = False
            self._turns.hand_on()
