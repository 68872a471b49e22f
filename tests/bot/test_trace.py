"""One id goes through all lines of the log about one post, from its event to its answer."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from tests.bot.running_bot import HAPPY
from tests.bot.telegram_served import TelegramBot


def test_the_lines_about_a_post_have_one_id(telegram: TelegramBot) -> None:
    people = [telegram.person() for _ in range(3)]
    with capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        telegram.ask([telegram.server.photo(HAPPY, user=person) for person in people])
        telegram.ask(telegram.server.album([HAPPY, HAPPY, HAPPY], user=people[0]))
    lines = [(entry["event"], entry["job"]) for entry in logs if entry.get("job")]
    ids = {job for _, job in lines}
    assert len(ids) == 4
    assert all([event for event, job in lines if job == one] == ["job_stored", "job_ended"] for one in ids)
    assert not any(str(person["id"]) in repr(logs) for person in people)
