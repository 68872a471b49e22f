"""What outlives a photo: a chat's own settings, and counts of feedback. Of a person only the wish not to be read.

SQLAlchemy on the database of the jobs; calls wait in a thread, never on the event loop.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bot.errors import DatabaseUnavailable
from bot.sqlite_turns import WRITE_SECONDS, Connection, Turns

T = TypeVar("T")

_TABLES = sa.MetaData()
_CHATS = sa.Table(
    "face2emoji_chats",
    _TABLES,
    sa.Column("platform", sa.String, primary_key=True),
    sa.Column("chat", sa.String, primary_key=True),
    sa.Column("auto", sa.Boolean, nullable=False),
    sa.Column("changes", sa.String, nullable=False),
)
_OPTED_OUT = sa.Table(
    "face2emoji_opted_out",
    _TABLES,
    sa.Column("platform", sa.String, primary_key=True),
    sa.Column("person", sa.String, primary_key=True),
)
_FEEDBACK = sa.Table(
    "face2emoji_feedback",
    _TABLES,
    sa.Column("given", sa.String, primary_key=True),
    sa.Column("corrected", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)
_SLACK_INSTALLATIONS = sa.Table(
    "face2emoji_slack_installations",
    _TABLES,
    sa.Column("workspace", sa.String, primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
)

WORKERS = sa.Table(
    "face2emoji_workers",
    _TABLES,
    sa.Column("worker", sa.String, primary_key=True),
    sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
)
"""The processes that share the jobs of a PostgreSQL, and when each last showed that it lives; kept by `bot.jobs`."""

POSTGRESQL = {
    # When the way there is taken for gone: seconds, and at the end milliseconds.
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "tcp_user_timeout": 10_000,
    "client_encoding": "utf8",  # from a database of encoding SQL_ASCII text would come as bytes
}
"""How to connect, by libpq's own names."""

_POOL: dict[str, Any] = {
    "pool_size": 10,
    "max_overflow": 20,
    "hide_parameters": True,  # what is stored is for no error's text
}

_SETTING_UP = 5104310  # any number that is ours


def open_database(url: str) -> sa.Engine:
    """Connect and make our tables if they are missing.

    Args:
        url: SQLAlchemy's, sqlite or postgresql+psycopg.

    Raises:
        DatabaseUnavailable: naming where the database should be, without the password.
    """
    try:
        engine = _engine(url)
        try:
            _set_up(engine)
        except SQLAlchemyError:
            engine.dispose()
            raise
    except SQLAlchemyError as error:
        raise unavailable(sa.make_url(url), error) from error
    return engine


def _engine(url: str) -> sa.Engine:
    if url.startswith("sqlite"):
        in_turns = {"timeout": WRITE_SECONDS, "factory": partial(Connection, Turns())}
        engine = sa.create_engine(url, connect_args=in_turns, **_POOL)
        sa.event.listen(engine, "connect", _prepare_sqlite)
    else:
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=POSTGRESQL, **_POOL)
        sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _set_up(engine: sa.Engine) -> None:
    """Make our tables if they are missing."""
    with engine.begin() as connection:
        # Processes that start at once must not all find the tables missing.
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SETTING_UP)))
            make_schema(connection)
        _TABLES.create_all(connection)


def make_schema(connection: sa.Connection) -> None:
    """Make the schema of the jobs in a PostgreSQL, if it is missing: where it may not, DBOS ends in a traceback."""
    if not sa.inspect(connection).has_schema("dbos"):
        connection.execute(sa.schema.CreateSchema("dbos"))


def existing_database(url: str, seconds: int = 5) -> sa.Engine:
    """Connect to a database as it is, without making anything: neither a file nor a table.

    Args:
        url: SQLAlchemy's, as for `open_database`.
        seconds: how long to wait for it.
    """
    place = sa.make_url(url)
    if place.get_backend_name() != "sqlite":
        patience = {"connect_timeout": seconds}
        return sa.create_engine(place, poolclass=sa.NullPool, connect_args=POSTGRESQL | patience)
    existing = Path(str(place.database)).absolute().as_uri() + "?mode=rw"
    return sa.create_engine(
        "sqlite://", poolclass=sa.NullPool, creator=lambda: sqlite3.connect(existing, timeout=seconds, uri=True)
    )


def unavailable(url: sa.URL, error: Exception) -> DatabaseUnavailable:
    """Say which database cannot be used and why, without its password."""
    place = url.database if url.get_backend_name() == "sqlite" else f"{url.host or 'here'}/{url.database or ''}"
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return DatabaseUnavailable(DatabaseUnavailable.unreachable.format(place=place, reason=reason))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"  # a reader that turns writer half way would find the database locked
    with suppress(sqlite3.OperationalError):  # locked: somebody else is just switching it over
        connection.execute("PRAGMA journal_mode=WAL")  # readers do not wait for writers
    for pragma in (
        "synchronous=FULL",  # what was stored survives a power cut
        "foreign_keys=ON",
        "secure_delete=ON",  # what is deleted is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # What a process held locked when it was stopped must be free before others take its jobs over.
    connection.execute("SET idle_in_transaction_session_timeout = '10s'")
    connection.commit()


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat's own settings.

    Attributes:
        auto: every photo of this group is answered, not only those somebody asks about.
        changes: expression -> emoji, where the chat wants another one than the map.
    """

    auto: bool = False
    changes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Feedback:
    """How often a model's answer was confirmed (given equals corrected) or corrected."""

    given: str
    corrected: str
    model: str
    count: int


class Store:
    """Async access to the bot's tables.

    Every method raises sqlalchemy's SQLAlchemyError if the database cannot be reached or refuses.

    Args:
        engine: from `open_database`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    async def chat(self, platform: str, chat: str) -> Chat:
        """Return a chat's settings; the defaults when it has none."""
        return await self._run(lambda connection: _settings(connection, platform, chat))

    async def change_chat(self, platform: str, chat: str, change: Callable[[Chat], Chat]) -> Chat:
        """Replace a chat's settings, and return the new ones; the defaults leave no trace.

        Args:
            platform: where the chat is.
            chat: its id there.
            change: told the settings as they are by then, returns what they are to be; may be asked twice.
        """

        def save(connection: sa.Connection) -> Chat:
            here = _key(platform, chat)
            # Written before it is read: so the row is ours until the end, in both databases.
            if not connection.execute(sa.update(_CHATS).where(*here).values(chat=chat)).rowcount:
                connection.execute(sa.insert(_CHATS).values(platform=platform, chat=chat, **_row(Chat())))
            settings = change(_settings(connection, platform, chat))
            keep = sa.update(_CHATS).values(_row(settings)) if settings != Chat() else sa.delete(_CHATS)
            connection.execute(keep.where(*here))
            return settings

        return await self._run_or_again(save)

    async def forget_chat(self, platform: str, chat: str) -> None:
        """Erase a chat's settings."""
        delete = sa.delete(_CHATS).where(*_key(platform, chat))
        await self._run(lambda connection: connection.execute(delete))

    async def opted_out(self, platform: str, person: str) -> bool:
        """Say whether somebody wants none of their photos read but those they send us themselves."""
        query = sa.select(_OPTED_OUT.c.person).where(*_person(platform, person))
        return await self._run(lambda connection: connection.execute(query).first() is not None)

    async def opt_out(self, platform: str, person: str, *, out: bool) -> None:
        """Keep that wish, or drop it."""

        def save(connection: sa.Connection) -> None:
            connection.execute(sa.delete(_OPTED_OUT).where(*_person(platform, person)))
            if out:
                connection.execute(sa.insert(_OPTED_OUT).values(platform=platform, person=person))

        with suppress(sa.exc.IntegrityError):  # said twice at once
            await self._run(save)

    async def move_chat(self, platform: str, old: str, new: str) -> None:
        """Move a chat's settings when the platform gives it another id; repeating a move changes nothing.

        Args:
            platform: where the chat is.
            old: its id so far; without settings there, nothing happens.
            new: its id from now on; settings stored there already are replaced.
        """

        def move(connection: sa.Connection) -> None:
            if connection.execute(sa.update(_CHATS).where(*_key(platform, old)).values(chat=old)).rowcount:
                connection.execute(sa.delete(_CHATS).where(*_key(platform, new)))
                connection.execute(sa.update(_CHATS).where(*_key(platform, old)).values(chat=new))

        await self._run_or_again(move)

    async def forget_workspace(self, platform: str, workspace: str) -> None:
        """Erase the settings of every chat and the wishes of every person named "workspace/..."."""

        def erase(connection: sa.Connection) -> None:
            for table, name in ((_CHATS, _CHATS.c.chat), (_OPTED_OUT, _OPTED_OUT.c.person)):
                ours = table.c.platform == platform, name.startswith(f"{workspace}/", autoescape=True)
                connection.execute(sa.delete(table).where(*ours))

        await self._run(erase)

    async def installation(self, workspace: str) -> str | None:
        """Return what Slack gave us for a workspace, encrypted; None when we are not installed there."""
        query = sa.select(_SLACK_INSTALLATIONS.c.data).where(_SLACK_INSTALLATIONS.c.workspace == workspace)
        return await self._run(lambda connection: connection.execute(query).scalar_one_or_none())

    async def installations(self) -> list[str]:
        """Return the workspaces and organisations that we are installed in."""
        query = sa.select(_SLACK_INSTALLATIONS.c.workspace)
        return await self._run(lambda connection: list(connection.execute(query).scalars()))

    async def save_installation(self, workspace: str, data: str) -> None:
        """Keep what Slack gave us for a workspace, encrypted, in place of what was there."""
        match = _SLACK_INSTALLATIONS.c.workspace == workspace

        def save(connection: sa.Connection) -> None:
            if not connection.execute(sa.update(_SLACK_INSTALLATIONS).where(match).values(data=data)).rowcount:
                connection.execute(sa.insert(_SLACK_INSTALLATIONS).values(workspace=workspace, data=data))

        await self._run_or_again(save)

    async def replace_installation(self, workspace: str, old: str, new: str) -> bool:
        """Replace what Slack gave us for a workspace, unless it has changed meanwhile; return whether it was replaced.

        Args:
            workspace: its id, or an organisation's.
            old: the encrypted data that must still be stored.
            new: the encrypted data to store.
        """
        row = (_SLACK_INSTALLATIONS.c.workspace == workspace, _SLACK_INSTALLATIONS.c.data == old)
        update = sa.update(_SLACK_INSTALLATIONS).where(*row).values(data=new)
        return await self._run(lambda connection: connection.execute(update).rowcount == 1)

    async def delete_installation(self, workspace: str) -> None:
        """Erase what Slack gave us for a workspace."""
        delete = sa.delete(_SLACK_INSTALLATIONS).where(_SLACK_INSTALLATIONS.c.workspace == workspace)
        await self._run(lambda connection: connection.execute(delete))

    async def count(self, counts: Iterable[tuple[str, str]], model: str) -> None:
        """Count feedback on a model's answer; all of it, or nothing.

        Args:
            counts: (expression given, expression corrected) each; equal where the answer was right.
            model: version of the model that answered.
        """

        def count(connection: sa.Connection) -> None:
            for given, corrected in sorted(counts):  # always in one order, so that nobody waits in a circle
                row = {"given": given, "corrected": corrected, "model": model}
                match = [_FEEDBACK.c[name] == value for name, value in row.items()]
                plus = sa.update(_FEEDBACK).where(*match).values(count=_FEEDBACK.c.count + 1)
                if not connection.execute(plus).rowcount:
                    connection.execute(sa.insert(_FEEDBACK).values(**row, count=1))

        await self._run_or_again(count)

    async def _run(self, work: Callable[[sa.Connection], T]) -> T:
        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await asyncio.to_thread(run)

    async def _run_or_again(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            return await self._run(work)
        except sa.exc.IntegrityError:  # somebody else made the row in between
            return await self._run(work)


def read_feedback(url: str) -> list[Feedback]:
    """Return all counts; none where the database, or its table, is still to be made.

    Raises:
        DatabaseUnavailable: it cannot be opened.
    """
    place = sa.make_url(url)
    if place.get_backend_name() == "sqlite" and not Path(str(place.database)).exists():
        return []
    query = sa.select(_FEEDBACK).order_by(_FEEDBACK.c.model, _FEEDBACK.c.given, _FEEDBACK.c.corrected)
    try:
        with existing_database(url).connect() as connection:
            is_there = sa.inspect(connection).has_table(_FEEDBACK.name)
            return [Feedback(**row._mapping) for row in connection.execute(query)] if is_there else []
    except SQLAlchemyError as error:
        raise unavailable(place, error) from error


def _settings(connection: sa.Connection, platform: str, chat: str) -> Chat:
    row = connection.execute(sa.select(_CHATS.c.auto, _CHATS.c.changes).where(*_key(platform, chat))).one_or_none()
    return Chat(row.auto, json.loads(row.changes)) if row else Chat()


def _row(settings: Chat) -> dict[str, Any]:
    return {"auto": settings.auto, "changes": json.dumps(dict(settings.changes))}


def _key(platform: str, chat: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _CHATS.c.platform == platform, _CHATS.c.chat == chat


def _person(platform: str, person: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _OPTED_OUT.c.platform == platform, _OPTED_OUT.c.person == person


def sqlite_path(engine: sa.Engine) -> Path | None:
    """Return the file of a SQLite database, None for PostgreSQL."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
