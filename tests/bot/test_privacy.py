"""After real selfies through both platforms and the page, nothing of them or of anybody is left anywhere.

Beside this: what is erased after the retention is in test_jobs.py (`test_nothing_remains_after_the_retention`,
`test_what_nobody_serves_any_more_is_erased_in_the_end`), `/forget` in test_telegram_commands.py and
test_slack_commands.py (`..._leaves_no_trace_of_...`), and a Telegram in trouble in test_telegram_start.py.
"""

from __future__ import annotations

import base64
import io
import json
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from bot.rate_limit import RateLimit
from bot.settings import Settings
from bot.slack_phrases import ENGLISH
from tests.bot.served import wait_until
from tests.bot.slack_served import free_port, settings_of
from tests.bot.slack_server import SlackServer
from tests.bot.slack_world import APP_TOKEN, BOT_TOKEN
from tests.bot.telegram_server import TelegramServer
from tests.bot.telegram_world import person
from tests.e2e.served import NO_DOT_ENV, bot_environment

RUN = 24
"""So many equal bytes in a row are no chance."""


def needles(picture: bytes) -> Iterator[bytes]:
    """Yield runs of a picture's bytes, and of its pixels, as a log, a database or a file might hold them."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    rows = [pixels[pixels.shape[0] // 2], pixels[pixels.shape[0] // 2, :, ::-1]]  # RGB, and OpenCV's BGR
    runs = [data[len(data) * part // 5 :][:RUN] for data in (picture, *map(_bytes, rows)) for part in range(1, 5)]
    for run in runs:
        yield run
        yield run.hex().encode()
        yield repr(run)[2:-1].encode()
        for shift in range(3):  # base64 of the whole may have begun anywhere
            yield base64.b64encode(run[shift:][: (RUN - 3) // 3 * 3])
    yield repr(rows[0][:3].tolist())[1:-1].encode()


def _bytes(row: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    return np.ascontiguousarray(row).tobytes()


def found(haystacks: Mapping[str, bytes], words: Iterable[str | bytes]) -> list[tuple[str, bytes]]:
    """Pair each haystack's name with the words in it."""
    wanted = {word.encode() if isinstance(word, str) else word for word in words}
    return [(name, word) for name, data in haystacks.items() for word in sorted(wanted) if word in data]


def cells(database: Path) -> dict[str, bytes]:
    """Return all cells of every table, the job engine's among them, by the table's name."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
    texts = {name: [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows[name] for cell in row]
             for name in tables}  # fmt: skip
    return {f"table {name}": b"\n".join(cells) for name, cells in texts.items()}


def files(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    return {f"file {path.name}": path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def with_a_place(portrait: bytes) -> bytes:
    """The portrait with an EXIF block as a phone writes it: a place, and whose phone it was."""
    tags = Image.Exif()
    tags[0x010E], tags[0x013B] = "veranda-of-hers", "Phone of Zwetelina"
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    buffer = io.BytesIO()
    Image.open(io.BytesIO(portrait)).save(buffer, "JPEG", quality=90, exif=tags)
    return buffer.getvalue()


def test_nothing_of_a_photo_or_of_anybody_is_left_anywhere(tmp_path: Path, portrait: bytes) -> None:
    selfie = with_a_place(portrait)
    database, temporary, log = tmp_path / "jobs.db", tmp_path / "tmp", tmp_path / "log"
    temporary.mkdir()
    with TelegramServer() as telegram, SlackServer() as slack:
        environment = bot_environment(
            TELEGRAM_BOT_TOKEN=telegram.token,
            TELEGRAM_BASE_URL=telegram.url,
            SLACK_BASE_URL=slack.url,
            FACE2EMOJI_DATABASE_URL=f"sqlite:///{database}",
            FACE2EMOJI_PORT=(port := str(free_port())),
            FACE2EMOJI_WORKERS="1",
            FACE2EMOJI_LOG_LEVEL="debug",
            TMPDIR=str(temporary),
            **{name.upper(): token.get_secret_value() for name, token in settings_of("socket").items()},
        )
        ada = person(5_559_000_002, "Zwetelina", last_name="Lastname", username="zwetelina_x")
        bea = slack.person(name="lovelace").id
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [sys.executable, "-m", "bot"], cwd=NO_DOT_ENV, env=environment, stdout=output, stderr=subprocess.STDOUT
            ) as bot,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
        ):
            try:
                wait_until(lambda: b"Slack: " in log.read_bytes(), 120)
                touched = temporary.stat().st_mtime_ns
                for photo in (selfie, b"\xff\xd8\xff veranda-of-hers, damaged"):
                    telegram.push(telegram.photo(photo, user=ada, caption="caption-of-hers"))
                    slack.photo(
                        slack.file(photo, name="holidays_2031.jpg", user=bea), slack.dm(bea), bea, text="secretly"
                    )
                telegram.push(telegram.document(selfie, user=ada, caption="/mask caption-of-hers"))
                assert http.post("/api/read", content=selfie).json()["emoji"]
                assert http.post("/api/mask", content=selfie).headers["x-faces-covered"] == "1"
                assert http.post("/api/read", content=selfie[:2000]).status_code == 400
                wait_until(lambda: len(telegram.sent) >= 4 and len(slack.sent) >= 2 and not telegram.pending, 120)
                wait_until(lambda: b"PENDING" not in cells(database)["table workflow_status"], 20)
                figures = http.get("/metrics").content
                # A file that comes and goes changes its folder, too; the readers' socket lies there until the bot ends.
                assert temporary.stat().st_mtime_ns == touched
            finally:
                bot.send_signal(signal.SIGTERM)
                assert bot.wait(60) == 0
        assert telegram.violations == []
        assert slack.violations == []
        pictures = [selfie] + [
            file.data for file in telegram.files.values() if file.data.startswith(b"\xff\xd8\xff\xe0")
        ]
        assert len(pictures) > 1  # what Telegram made of it, and what we masked

    stored = cells(database)
    haystacks = {
        "log": log.read_bytes(),
        "figures": figures,
        **stored,
        **files(tmp_path, "jobs.db*"),
        **files(temporary),
    }
    # It all happened, and is looked for where it would be.
    assert b'outcome="read"} 5.0' in figures
    assert b"refused" in haystacks["log"]
    assert str(ada["id"]).encode() in stored["table workflow_status"]
    assert bea.encode() in stored["table workflow_status"]

    tokens = (telegram.token, telegram.token.partition(":")[2], BOT_TOKEN, APP_TOKEN)
    addresses = ("/file/bot", "photos/file", "files-pri", "ticket=", "/commands/")
    names = ("Zwetelina", "Lastname", "zwetelina_x", "lovelace", "holidays_2031")
    words = ("caption-of-hers", "secretly", "veranda-of-hers")
    assert found(haystacks, (*tokens, *addresses, *names, *words)) == []
    assert (
        found(haystacks, (b"\xff\xd8\xff", b"JFIF", b"Exif", *(run for data in pictures for run in needles(data))))
        == []
    )
    assert found({name: haystacks[name] for name in ("log", "figures")}, (str(ada["id"]), bea)) == []
    assert found(stored, ("happy", "confidence", "😀")) == []  # no face in the tables, either
    assert list(temporary.iterdir()) == []
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("jobs.db*")} == {0o600}  # for the bot's user alone


def test_a_job_that_is_left_behind_names_nobody_in_the_log(tmp_path: Path, portrait: bytes) -> None:
    """The next bot has no Telegram any more, and the library that keeps the jobs says so in words of its own."""
    database, log = tmp_path / "jobs.db", tmp_path / "log"

    @contextmanager
    def bot(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = bot_environment(
            FACE2EMOJI_DATABASE_URL=f"sqlite:///{database}",
            FACE2EMOJI_PORT="0",
            FACE2EMOJI_WORKERS="1",
            FACE2EMOJI_LOG_FORMAT="json",
            **variables,
        )
        command = [sys.executable, "-m", "bot"]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, cwd=NO_DOT_ENV, env=environment, stdout=subprocess.PIPE, stderr=output
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    ada = person(5_559_000_002, "Zwetelina")
    with (
        TelegramServer() as telegram,
        bot(TELEGRAM_BOT_TOKEN=telegram.token, TELEGRAM_BASE_URL=telegram.url) as process,
    ):
        telegram.fail("download", None, "delay", seconds=60)
        telegram.push(telegram.photo(portrait, user=ada))
        wait_until(lambda: database.exists() and b"PENDING" in cells(database).get("table workflow_status", b""), 120)
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)  # as it holds the photo
    with SlackServer() as slack:
        tokens = {name.upper(): token.get_secret_value() for name, token in settings_of("socket").items()}
        with bot(SLACK_BASE_URL=slack.url, **tokens):
            wait_until(lambda: b"dbos" in log.read_bytes(), 120)
    assert b"5559000002" in cells(database)["table workflow_status"]
    lines = log.read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("{")] == []  # no traceback, and no style but ours
    assert any("NotFound" in json.loads(line)["event"] for line in lines)
    assert "5559000002" not in log.read_text("utf-8")


@pytest.mark.parametrize(
    "leak",
    [
        lambda data: data[len(data) // 5 - 10 :][:100],
        lambda data: repr(data[900:]).encode(),
        lambda data: base64.b64encode(data),
        lambda data: base64.b64encode(data[1:]),
        lambda data: data.hex().encode(),
        lambda data: np.asarray(Image.open(io.BytesIO(data))).tobytes(),
        lambda data: np.asarray(Image.open(io.BytesIO(data)))[:, :, ::-1].tobytes(),
    ],
    ids=["part", "repr", "base64", "base64 of the rest", "hex", "RGB", "BGR"],
)
def test_a_picture_that_leaks_is_found(leak: Callable[[bytes], bytes], portrait: bytes) -> None:
    kept = {"clean": bytes(range(256)) * 100, "leaking": b"a line\n" + leak(portrait) + b"\nanother"}
    assert {name for name, _ in found(kept, needles(portrait))} == {"leaking"}


def test_the_document_is_true() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8").split())
    assert f'"{ENGLISH.home_stop}"' in text
    assert f'"{ENGLISH.home_erase}"' in text
    assert f"{RateLimit(1)._addresses:,} others" in text
    assert Settings.model_fields["job_retention"].default == 24 * 3600
    assert "until 24 hours after it ended (`FACE2EMOJI_JOB_RETENTION`)" in text
