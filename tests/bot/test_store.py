"""Preferences and feedback, on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.errors import DatabaseUnavailable
from bot.sqlite_turns import Connection, Turns
from bot.store import Chat, Feedback, Store, open_database, read_feedback
from tests.bot.databases import NewDatabase, create_database


@pytest.fixture
def engine(new_database: NewDatabase) -> Iterator[sa.Engine]:
    engine = open_database(new_database())
    yield engine
    engine.dispose()


def address(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


async def test_a_chat_without_settings_has_the_defaults(engine: sa.Engine) -> None:
    assert await Store(engine).chat("telegram", "1") == Chat(auto=False, changes={})


async def test_settings_stay_and_belong_to_their_chat(engine: sa.Engine) -> None:
    await Store(engine).change_chat("telegram", "1", lambda _: Chat(auto=True, changes={"happy": "🎉"}))
    await Store(engine).change_chat("telegram", "1", lambda _: Chat(auto=False, changes={"happy": "🎉", "sad": "😿"}))
    assert await Store(engine).chat("telegram", "1") == Chat(auto=False, changes={"happy": "🎉", "sad": "😿"})
    assert await Store(engine).chat("telegram", "2") == Chat()
    assert await Store(engine).chat("slack", "1") == Chat()


async def test_a_postgresql_without_an_encoding_will_do(postgresql: str) -> None:
    engine = open_database(create_database(postgresql, "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"))
    await Store(engine).change_chat("telegram", "1", lambda _: Chat(auto=True, changes={"happy": "🎉"}))
    assert await Store(engine).chat("telegram", "1") == Chat(auto=True, changes={"happy": "🎉"})
    engine.dispose()


async def test_defaults_leave_no_trace(engine: sa.Engine) -> None:
    store = Store(engine)
    await store.change_chat("telegram", "1", lambda _: Chat(auto=True))
    await store.change_chat("telegram", "1", lambda _: Chat())
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM face2emoji_chats")).scalar() == 0


async def test_settings_move_with_the_chat(engine: sa.Engine) -> None:
    store = Store(engine)
    await store.change_chat("telegram", "-1", lambda _: Chat(auto=True))
    await store.move_chat("telegram", "-1", "-1001")
    assert (await store.chat("telegram", "-1"), await store.chat("telegram", "-1001")) == (Chat(), Chat(auto=True))


async def test_a_move_that_is_told_twice_loses_nothing(engine: sa.Engine) -> None:
    store = Store(engine)
    await store.change_chat("telegram", "-1", lambda _: Chat(auto=True))
    await store.move_chat("telegram", "-1", "-1001")
    await store.change_chat("telegram", "-1001", lambda chat: replace(chat, changes={"happy": "🎉"}))
    await store.move_chat("telegram", "-1", "-1001")
    assert await store.chat("telegram", "-1001") == Chat(auto=True, changes={"happy": "🎉"})


async def test_who_changes_settings_at_once_undoes_nobody_elses_change(engine: sa.Engine) -> None:
    store = Store(engine)

    def wish(number: int) -> Callable[[Chat], Chat]:
        return lambda chat: replace(chat, changes={**chat.changes, str(number): "🎉"})

    for _ in range(5):
        await asyncio.gather(
            *(store.change_chat("slack", "T1/C1", wish(number)) for number in range(8)),
            store.change_chat("slack", "T1/C1", lambda chat: replace(chat, auto=True)),
        )
        chat = await store.chat("slack", "T1/C1")
        assert (chat.auto, len(chat.changes)) == (True, 8)
        await store.forget_chat("slack", "T1/C1")


async def test_who_opted_out_is_remembered_until_they_change_their_mind(engine: sa.Engine) -> None:
    store = Store(engine)
    assert not await store.opted_out("slack", "T1/U1")
    await asyncio.gather(*(store.opt_out("slack", "T1/U1", out=True) for _ in range(5)))
    assert await store.opted_out("slack", "T1/U1")
    assert not await store.opted_out("telegram", "T1/U1")
    await store.opt_out("slack", "T1/U1", out=False)
    assert not await store.opted_out("slack", "T1/U1")


async def test_a_workspace_is_forgotten_and_no_other_one(engine: sa.Engine) -> None:
    store = Store(engine)
    for place in ("T1/C1", "T1/C2", "T12/C1", "T_/C1"):
        await store.change_chat("slack", place, lambda _: Chat(auto=True))
        await store.opt_out("slack", place, out=True)
    await store.change_chat("telegram", "T1/C1", lambda _: Chat(auto=True))
    await store.forget_workspace("slack", "T1")
    await store.forget_workspace("slack", "T_")
    kept = [place for place in ("T1/C1", "T1/C2", "T12/C1", "T_/C1") if (await store.chat("slack", place)).auto]
    wishes = [place for place in ("T1/C1", "T1/C2", "T12/C1", "T_/C1") if await store.opted_out("slack", place)]
    assert kept == wishes == ["T12/C1"]
    assert (await store.chat("telegram", "T1/C1")).auto


async def test_feedback_is_counted_also_at_once(engine: sa.Engine) -> None:
    store = Store(engine)
    await asyncio.gather(*(store.count([("happy", "sad")], "0123abcd") for _ in range(20)))
    await store.count([("happy", "happy")], "0123abcd")
    assert read_feedback(address(engine)) == [
        Feedback("happy", "happy", "0123abcd", 1),
        Feedback("happy", "sad", "0123abcd", 20),
    ]


async def test_feedback_of_several_faces_is_counted_whole_or_not_at_all(engine: sa.Engine) -> None:
    store, troubles = Store(engine), [RuntimeError("in the middle")]

    @sa.event.listens_for(engine, "before_cursor_execute")
    def fail(_connection: object, _cursor: object, statement: str, values: Any, *_more: object) -> None:
        if statement.startswith("INSERT") and "sad" in str(values) and troubles:
            raise sa.exc.DatabaseError(statement, None, troubles.pop())

    with pytest.raises(sa.exc.DatabaseError):
        await store.count([("happy", "happy"), ("sad", "sad")], "0123abcd")
    assert read_feedback(address(engine)) == []
    await store.count([("happy", "happy"), ("sad", "sad")], "0123abcd")
    assert [feedback.count for feedback in read_feedback(address(engine))] == [1, 1]


def test_reading_feedback_makes_nothing(new_database: NewDatabase) -> None:
    url = new_database()
    assert read_feedback(url) == []
    file = sa.make_url(url).database or ""
    if url.startswith("sqlite"):
        assert not Path(file).exists()
        Path(file).touch()
        assert read_feedback(url) == []
        assert Path(file).read_bytes() == b""
    else:
        engine = sa.create_engine(url)
        found = sa.inspect(engine)
        assert (found.get_table_names(), found.has_schema("dbos")) == ([], False)
        engine.dispose()


async def test_who_writes_at_once_takes_turns_and_does_not_run_into_one_another(tmp_path: Path) -> None:
    """SQLite, told not to wait at all, is not even asked while somebody else writes."""
    engine = open_database(f"sqlite:///{tmp_path / 'bot.db'}")

    @sa.event.listens_for(engine, "checkout")
    def impatient(connection: Any, *_more: object) -> None:
        connection.execute("PRAGMA busy_timeout=0")

    store = Store(engine)
    await asyncio.gather(*(store.count([("happy", "sad")], "0123abcd") for _ in range(100)))
    assert read_feedback(address(engine)) == [Feedback("happy", "sad", "0123abcd", 100)]
    engine.dispose()


async def test_the_record_of_an_answer_goes_before_what_waits_longer(tmp_path: Path) -> None:
    connect = partial(
        sqlite3.connect, tmp_path / "bot.db", check_same_thread=False, factory=partial(Connection, Turns())
    )
    written: list[str] = []

    def write(connection: sqlite3.Connection, table: str) -> None:
        connection.cursor().execute(f"INSERT INTO main.{table} VALUES (1)")
        written.append(table)
        connection.commit()
        connection.close()

    writer = connect()
    for table in ("other", "operation_outputs"):
        writer.cursor().execute(f"CREATE TABLE {table} (number INTEGER)")
    writer.cursor().execute("DELETE FROM other")
    waiting = []
    for table in ("other", "other", "other", "operation_outputs"):
        waiting.append(asyncio.create_task(asyncio.to_thread(write, connect(), table)))
        await asyncio.sleep(0.2)
    writer.commit()
    await asyncio.gather(*waiting)
    writer.close()
    assert written == ["operation_outputs", "other", "other", "other"]


async def test_who_waited_in_vain_leaves_the_line(tmp_path: Path) -> None:
    turns = Turns()
    assert turns.take(is_urgent=False, seconds=0)
    assert not turns.take(is_urgent=False, seconds=0.01)
    turns.hand_on()
    assert turns.take(is_urgent=False, seconds=0)


async def test_a_write_that_fails_lets_the_next_one_write(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'bot.db'}")
    twice = sa.text("INSERT INTO face2emoji_opted_out VALUES ('slack', 'T1/U1'), ('slack', 'T1/U1')")
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(twice)
    await asyncio.wait_for(Store(engine).opt_out("slack", "T1/U2", out=True), 10)
    assert await Store(engine).opted_out("slack", "T1/U2")
    engine.dispose()


async def test_processes_that_start_at_once_do_not_stumble_over_one_another(new_database: NewDatabase) -> None:
    url = new_database()
    for engine in await asyncio.gather(*(asyncio.to_thread(open_database, url) for _ in range(8))):
        engine.dispose()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:////nowhere/at/all/bot.db", "/nowhere/at/all/bot.db"),
        ("postgresql+psycopg://me:hush@127.0.0.1:1/bot", "127.0.0.1/bot"),
    ],
)
def test_an_unreachable_database_is_named_without_its_password(url: str, place: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database(url)
    message = caught.value.message
    assert place in message
    assert "FACE2EMOJI_DATABASE_URL" in message
    assert "hush" not in message
    assert "\n" not in message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    path.write_bytes(b"Dear diary" * 1000)
    for use in (open_database, read_feedback):
        with pytest.raises(DatabaseUnavailable):
            use(f"sqlite:///{path}")
