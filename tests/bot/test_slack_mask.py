"""Covered faces on Slack: the window gives the picture back, once, to whom it is for, and it is kept nowhere."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot.answers import Outcome, masks_words
from bot.phrases import ENGLISH
from bot.selfie_job import Refused, TryAgain
from bot.slack_phrases import ENGLISH as SLACK
from bot.slack_phrases import GERMAN as SLACK_GERMAN
from bot.slack_uploads import Picture, Uploads
from inference import Reading
from tests.bot.running_bot import DAMAGED, HAPPY, NOBODY, SAD
from tests.bot.served import wait_until
from tests.bot.slack_served import SlackBot, words_of
from tests.bot.slack_server import Sent, SlackServer
from tests.bot.slack_shapes import Json
from tests.bot.slack_world import BOT_TOKEN, BOT_USER, SCOPES

UPLOAD, TAKE, COMPLETE = "files.getUploadURLExternal", "upload", "files.completeUploadExternal"


def ask(
    slack: SlackBot, channel: str, user: str, *photos: bytes, ticked: Sequence[str] = ("faces",), share: bool = False
) -> None:
    """Fill the window in, and wait until all is done; without a channel it is opened by the shortcut."""
    if channel:
        slack.settle(slack.server.command("/face2emoji", "", channel, user))
    else:
        slack.settle(slack.server.shortcut("read_photo", user=user))
    values = {"mask": ticked, "share": ["channel"] if share else []}
    slack.settle(slack.server.submit_view(slack.wait_for_view(user), values, photos))


def shown(slack: SlackBot, sent: Sent) -> list[bytes]:
    """The pictures in a message."""
    return [slack.server.files[file["id"]].renditions["original"] for file in sent.files]


def wait_for_pictures(slack: SlackBot, channel: str, number: int = 1) -> list[Sent]:
    """Wait for so many messages with pictures in a channel; Slack shows them after it has answered."""

    def given() -> list[Sent]:
        return [sent for sent in slack.said(channel) if sent.files]

    wait_until(lambda: len(given()) >= number)
    slack.settle()
    assert len(given()) == number
    return given()


def test_the_channel_sees_the_picture_and_who_asked_if_that_is_ticked(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    ask(slack, channel, ada, HAPPY, share=True)
    (sent,) = wait_for_pictures(slack, channel)
    assert shown(slack, sent) == [b"masked:" + HAPPY]
    assert (sent.text, sent.ephemeral_to) == (SLACK.shared_mask.format(user=f"<@{ada}>"), None)
    assert sent.files[0]["alt_txt"] == f"{SLACK.mask_alt}: 😄"
    assert len(slack.server.sent) == 1


def test_what_only_the_asker_may_see_comes_as_a_direct_message_and_the_channel_says_so(slack: SlackBot) -> None:
    ada = slack.person(locale="de-DE")
    channel = slack.channel(members=[ada])
    ask(slack, channel, ada, HAPPY)
    (picture,) = wait_for_pictures(slack, slack.server.dm(ada))
    assert (shown(slack, picture), picture.text) == ([b"masked:" + HAPPY], "")
    assert picture.files[0]["alt_txt"] == f"{SLACK_GERMAN.mask_alt}: 😄"
    (pointer,) = slack.said(channel)
    assert (pointer.text, pointer.ephemeral_to) == (SLACK_GERMAN.mask_sent, ada)


@pytest.mark.parametrize("by", ["shortcut", "direct"])
def test_asked_for_in_direct_messages_or_from_nowhere_it_comes_there(slack: SlackBot, by: str) -> None:
    ada = slack.person()
    direct = slack.server.dm(ada)
    ask(slack, direct if by == "direct" else "", ada, HAPPY)
    wait_for_pictures(slack, direct)
    assert len(slack.server.sent) == 1


@pytest.mark.parametrize("ticked", [["faces", "everyone"], ["everyone"]])
def test_faces_that_cannot_be_read_are_covered_if_that_is_ticked(slack: SlackBot, ticked: list[str]) -> None:
    ada = slack.person()
    ask(slack, "", ada, HAPPY, ticked=ticked)
    (sent,) = wait_for_pictures(slack, slack.server.dm(ada))
    assert shown(slack, sent) == [b"everyone:" + HAPPY]


def test_several_pictures_come_in_one_message_that_says_what_became_of_the_others(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    ask(slack, channel, ada, HAPPY, NOBODY, SAD, DAMAGED, share=True)
    (sent,) = wait_for_pictures(slack, channel)
    assert shown(slack, sent) == [b"masked:" + HAPPY, b"masked:" + SAD]
    _, *lines = sent.text.splitlines()
    assert lines == [f"2. {ENGLISH.short_no_face}", f"4. {ENGLISH.short_unreadable}"]


def test_of_a_gif_the_first_picture_is_covered_and_we_say_so() -> None:
    outcome = Outcome("gif", Reading(1, 1, (), None), b"masked")
    assert masks_words([outcome], ENGLISH, "") == ENGLISH.preview_gif


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize(("photo", "words"), [(NOBODY, ENGLISH.no_face), (DAMAGED, ENGLISH.unreadable)])
def test_a_picture_without_a_face_gets_words(slack: SlackBot, photo: bytes, words: str, share: bool) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    ask(slack, channel, ada, photo, share=share)
    (sent,) = slack.wait_for_words(channel)
    above = [SLACK.shared_mask.format(user=f"<@{ada}>")] if share else []
    assert words_of(sent) == "\n".join([*above, words])
    assert (sent.ephemeral_to, sent.files) == (None if share else ada, [])
    assert not slack.server.calls_of(UPLOAD, COMPLETE)


def test_where_it_was_not_invited_the_asker_gets_the_picture_and_reads_why(slack: SlackBot) -> None:
    ada, channel = slack.person(), slack.channel(bots=False)
    ask(slack, channel, ada, HAPPY, share=True)
    (sent,) = wait_for_pictures(slack, slack.server.dm(ada))
    assert (shown(slack, sent), sent.text) == ([b"masked:" + HAPPY], SLACK.not_invited.format(bot=f"<@{BOT_USER}>"))
    assert [(said.text, said.ephemeral_to) for said in slack.said(channel)] == [(SLACK.mask_sent, ada)]


# What goes wrong


def test_a_picture_is_given_once_whatever_happens_on_the_way(slack: SlackBot) -> None:
    """All at once, because each waits; Slack shows the pictures later than the bot asks again."""
    troubles: list[Json] = [
        *({"method": method, "error": "ratelimited"} for method in (UPLOAD, COMPLETE)),
        *({"method": method, "error": "internal_error"} for method in (UPLOAD, COMPLETE, "conversations.open")),
        *({"method": method, "status": 503} for method in (UPLOAD, TAKE, COMPLETE)),
        *({"method": method, "cut": cut} for method in (UPLOAD, TAKE, COMPLETE) for cut in ("before", "after")),
        {"method": TAKE, "status": 429},
    ]
    people = [slack.person() for _ in troubles]
    for ada in people:
        slack.server.shortcut("read_photo", user=ada)
    views = [slack.wait_for_view(ada) for ada in people]
    photos = [b" ".join([HAPPY] * number) for number, _ in enumerate(people, 1)]  # known by their lengths
    slack.server.configure(share_seconds=1.5)
    try:
        for ada, trouble, view, photo in zip(people, troubles, views, photos, strict=True):
            length = str(len(b"masked:" + photo))
            of_method = {UPLOAD: {"length": length}, TAKE: {"length": length}, "conversations.open": {"users": ada}}
            when = of_method.get(trouble["method"], {"channel_id": slack.server.dm(ada)})
            slack.server.fail(**trouble, when=when)
            slack.server.submit_view(view, {"mask": ["faces"]}, [photo])
        slack.settle()
        time.sleep(2)
    finally:
        slack.server.configure(share_seconds=0.0)
    for ada, trouble, photo in zip(people, troubles, photos, strict=True):
        assert [shown(slack, sent) for sent in slack.said(slack.server.dm(ada))] == [[b"masked:" + photo]], trouble
    assert len(slack.reader.seen) == len(troubles)  # and nothing is read again to show it again
    assert all(fault.left == 0 for fault in slack.server._faults)
    refused = next(call for call in slack.server.calls_of(COMPLETE) if call.status == 429)
    again = next(call for call in slack.server.calls_of(COMPLETE) if call.args == refused.args and call.status == 200)
    assert again.clock - refused.clock >= 1


def test_what_slack_took_before_a_crash_is_not_given_again(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    for share in (True, False):
        ask(slack, channel, ada, HAPPY, share=share)
    wait_for_pictures(slack, channel)
    wait_for_pictures(slack, slack.server.dm(ada))
    slack.stop()
    with closing(sqlite3.connect(slack.database)) as database:  # nobody lived to note it down
        of_ada = f"workflow_uuid LIKE 'slack:{ada}:%'"
        database.execute(f"DELETE FROM operation_outputs WHERE {of_ada}")
        database.execute(f"UPDATE workflow_status SET status = 'PENDING', output = NULL WHERE {of_ada}")
        database.commit()
    slack.server.fail("conversations.history", "ratelimited")
    slack.server.fail("conversations.history", "internal_error")
    slack.start()
    wait_until(lambda: slack.reader.seen == [HAPPY] * 4, 20)
    wait_until(lambda: slack.idle, 20)
    wait_for_pictures(slack, channel)
    wait_for_pictures(slack, slack.server.dm(ada))
    assert len(slack.server.calls_of(COMPLETE)) == 2


REFUSALS: list[tuple[str, Json, str]] = [
    (UPLOAD, {"error": "file_uploads_disabled"}, "file_uploads_disabled"),
    (COMPLETE, {"error": "posting_to_channel_denied"}, "posting_to_channel_denied"),
    (COMPLETE, {"error": "error_of_the_future"}, "error_of_the_future"),
    ("conversations.open", {"error": "cannot_dm_bot"}, "cannot_dm_bot"),
    (TAKE, {"status": 403}, "upload_failed"),
    (TAKE, {"status": 302}, "upload_failed"),
]


def test_what_slack_says_no_to_is_told_to_the_asker_after_one_try(slack: SlackBot) -> None:
    for method, trouble, reason in REFUSALS:
        ada = slack.person()
        channel = slack.channel(members=[ada])
        fault = slack.server.fail(method, times=None, **trouble)
        ask(slack, channel, ada, HAPPY)
        (sent,) = slack.wait_for_words(channel)
        assert (sent.ephemeral_to, sent.text) == (ada, SLACK.mask_refused.format(reason=reason))
        assert fault.hits == 1
        slack.server.heal()


@pytest.mark.parametrize("scope", ["files:write", "im:write"])
def test_a_missing_permission_is_told_to_the_asker_and_to_the_installer(slack: SlackBot, scope: str) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    slack.server.configure(scopes=[granted for granted in SCOPES if granted != scope])
    try:
        with capture_logs() as logs:
            ask(slack, channel, ada, HAPPY)
    finally:
        slack.server.configure(scopes=SCOPES)
    (sent,) = slack.wait_for_words(channel)
    assert (sent.ephemeral_to, sent.text) == (ada, SLACK.missing_scope.format(scope=scope))
    # A single workspace's token does not say who installed the app: its log is where that person looks.
    assert [entry["scope"] for entry in logs if entry["event"] == "slack_scope_missing"] == [scope]


def test_no_picture_is_stored_and_the_job_names_references_only(slack: SlackBot) -> None:
    ada = slack.person()
    channel = slack.channel(members=[ada])
    ask(slack, channel, ada, HAPPY)
    wait_for_pictures(slack, slack.server.dm(ada))
    assert slack.traces(ada)
    assert not slack.bytes_hold("masked:", HAPPY.decode(), "/upload/v1/", "/commands/")
    slack.settle(slack.server.command("/face2emoji", "forget", channel, ada))
    slack.wait_for_words(channel, 2)
    wait_until(lambda: slack.traces(ada) == [])


# Where the bytes go


@pytest.mark.parametrize(
    "url",
    [
        "http://files.slack.com/upload/v1/1",
        "https://files.slack.com.evil.example/upload/v1/1",
        "https://files.slack.com@evil.example/upload/v1/1",
        "https://127.0.0.1/upload/v1/1",
        "/upload/v1/1",
    ],
)
async def test_bytes_go_to_slack_s_hosts_only(url: str) -> None:
    uploads = Uploads("https://slack.com")
    uploads.open()
    try:
        with pytest.raises(Refused, match="foreign_upload_url"):
            await uploads._post(url, b"picture")
    finally:
        await uploads.close()


async def test_the_three_steps_are_slack_s_and_the_token_stays_with_the_web_api() -> None:
    with SlackServer() as server:
        uploads = Uploads(server.url)
        uploads.open()
        client = AsyncWebClient(BOT_TOKEN, server.base_url)
        direct = server.dm()
        large = bytes(3 << 20)  # more than fits into one write
        pictures = [Picture("one.jpg", large, "A picture"), Picture("two.jpg", b"picture", "x" * 1000)]
        try:
            await uploads.show(client, direct, pictures, "Look & see")
            server.fail(TAKE, status=429, retry_after=7)
            with pytest.raises(TryAgain) as waits:
                await uploads.show(client, direct, [Picture("one.jpg", b"1", "")], "")
        finally:
            await uploads.close()
        wait_until(lambda: len(server.sent) == 1)
        (sent,) = server.sent
        assert [(file["name"], file["size"], len(file["alt_txt"])) for file in sent.files] == [
            ("one.jpg", len(large), 9),
            ("two.jpg", 7, 1000),
        ]
        assert (sent.channel, sent.text, waits.value.after) == (direct, "Look & see", 7)
        assert server.violations == []
