"""Slack end to end: the real bot and its real model in a workspace of the emulator, in Socket Mode and over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from bot.app import reader_loader
from bot.phrases import ENGLISH as WORDS
from bot.settings import Settings
from bot.slack_phrases import ENGLISH
from tests.bot.contract import jpeg
from tests.bot.running_bot import RunningBot
from tests.bot.served import wait_until
from tests.bot.slack_emulator import Json, Message, SlackEmulator
from tests.bot.slack_served import free_port
from tests.unavailable import Unavailable, skip_or_fail

LARGE, NAME = "😀", "grinning"
"""The answer to the portrait, and its Slack name."""
FACELESS = jpeg(Image.linear_gradient("L").resize((640, 480)))


class EmulatedBot(RunningBot):
    """The bot, with its real model, in the emulator's workspace."""

    def __init__(self, folder: Path, emulator: SlackEmulator, port: int, **settings: Any) -> None:
        self.emulator = emulator
        super().__init__(
            folder,
            reader_loader(Settings.model_construct()),
            port=port,
            slack_bot_token=SecretStr(emulator.bot_token),
            slack_base_url=emulator.url,
            workers=1,
            **settings,
        )

    def said(self, channel: str, count: int) -> list[Message]:
        """Wait until the bot has said so much in a channel, and has nothing left to do."""
        wait_until(lambda: len(self.emulator.said(channel)) >= count, 20)
        wait_until(lambda: self.idle, 20)
        said = self.emulator.said(channel)
        assert len(said) == count, said
        return said

    def channel(self, user: str, *, auto: bool = False) -> str:
        """A new channel, perhaps one where somebody switched the bot on."""
        channel = self.emulator.channel()
        if auto:
            self.emulator.command(user, channel, "on")
            self.said(channel, 1)
        return channel

    def ask(self, user: str, channel: str, words: str) -> str:
        """Use the slash command, and return the answer that only this person sees."""
        before = len(self.emulator.said(channel))
        self.emulator.command(user, channel, words)
        answer = self.said(channel, before + 1)[-1]
        assert answer.only_for == user
        return answer.shown

    def window(self, user: str, channel: str) -> Json:
        """Use the slash command without words, and return the window that it opens."""
        self.emulator.command(user, channel)
        wait_until(lambda: self.emulator.modal() is not None)
        view = self.emulator.modal()
        assert view
        return view

    def submit(self, user: str, photo: bytes, *, share: bool, mask: bool = False) -> None:
        """Fill the window in, and send it."""
        box = {"text": {"type": "plain_text", "text": ENGLISH.modal_share}, "value": "channel"}
        faces = {"text": {"type": "plain_text", "text": ENGLISH.modal_mask}, "value": "faces"}
        self.emulator.submit(
            user,
            {
                "photo": {"files": {"type": "file_input", "files": self.emulator.files(user, photo)}},
                "mask": {"mask": {"type": "checkboxes", "selected_options": [faces] if mask else []}},
                "share": {"share": {"type": "checkboxes", "selected_options": [box] if share else []}},
            },
        )
        assert self.emulator.modal() is None

    def counted(self, given: str, corrected: str) -> int:
        """How often feedback corrected one expression to another, or to itself."""
        rows = self.rows(f"given = '{given}' AND corrected = '{corrected}'", "face2emoji_feedback")
        return sum(row[-1] for row in rows)


@pytest.fixture(scope="module", params=["socket", "http"])
def slack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedBot]:
    folder = tmp_path_factory.mktemp("slack")
    port = free_port()
    over_http = request.param == "http"
    with ExitStack() as running:
        try:
            events_url = f"http://127.0.0.1:{port}/slack/events" if over_http else None
            emulator = running.enter_context(SlackEmulator(folder, events_url))
        except Unavailable as reason:
            skip_or_fail(reason)
        name, secret = ("signing_secret", emulator.signing_secret) if over_http else ("app_token", emulator.app_token)
        bot = EmulatedBot(folder, emulator, port, **{f"slack_{name}": SecretStr(secret)})
        running.callback(bot.stop)
        bot.start()
        wait_until(lambda: len(bot.lines) == 2 or not bot.running, 60)  # the model takes its time
        assert bot.running, bot.error
        yield bot


# Channels


def test_where_somebody_switched_us_on_a_photo_gets_one_reaction_and_nothing_else(
    slack: EmulatedBot, portrait: bytes
) -> None:
    ada, bob = slack.emulator.person(), slack.emulator.person()
    channel = slack.emulator.channel()
    slack.emulator.command(ada, channel, "on")
    (switched,) = slack.said(channel, 1)
    assert switched.shown == ENGLISH.auto_on.format(user=f"<@{ada}>")
    assert switched.only_for is None
    post = slack.emulator.upload(bob, channel, portrait, text="Me in my suit")
    slack.said(channel, 1)
    assert slack.emulator.reactions(channel, post) == [NAME]


def test_elsewhere_we_are_silent(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    never, no_more = slack.channel(ada), slack.channel(ada, auto=True)
    slack.emulator.command(ada, no_more, "off")
    assert slack.said(no_more, 2)[-1].shown == ENGLISH.auto_off.format(user=f"<@{ada}>")
    for channel, said in ((never, 0), (no_more, 2)):
        post = slack.emulator.upload(ada, channel, portrait)
        slack.emulator.post(ada, channel, "How do I look?")
        slack.said(channel, said)
        assert slack.emulator.reactions(channel, post) == []


def test_no_face_another_bot_and_an_edit_get_nothing(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada, auto=True)
    posts = [
        slack.emulator.upload(ada, channel, FACELESS),
        slack.emulator.upload(slack.emulator.robot, channel, portrait),
    ]
    read = slack.emulator.upload(ada, channel, portrait)
    wait_until(lambda: slack.idle, 20)
    slack.emulator.edit(ada, channel, read, f"<@{slack.emulator.bot}> look")
    slack.said(channel, 1)
    assert [slack.emulator.reactions(channel, post) for post in (*posts, read)] == [[], [], [NAME]]


def test_several_photos_get_one_reaction(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada, auto=True)
    post = slack.emulator.upload(ada, channel, FACELESS, portrait, portrait)
    slack.said(channel, 1)
    assert slack.emulator.reactions(channel, post) == [NAME]


@pytest.mark.parametrize("auto", [False, True])
def test_a_mention_in_the_caption_is_answered_once_in_the_thread(
    slack: EmulatedBot, portrait: bytes, auto: bool
) -> None:
    """It arrives twice: as a message with a file, and as a mention."""
    ada = slack.emulator.person()
    channel = slack.channel(ada, auto=auto)
    post = slack.emulator.upload(ada, channel, portrait, text=f"<@{slack.emulator.bot}> what do you say?")
    answer = slack.said(channel, 1 + auto)[-1]
    assert (answer.thread, answer.only_for) == (post, None)
    assert LARGE in answer.shown


def test_a_mention_in_a_photo_s_thread_is_answered_there(slack: EmulatedBot, portrait: bytes) -> None:
    ada, bob = slack.emulator.person(), slack.emulator.person()
    channel = slack.channel(ada)
    post = slack.emulator.upload(ada, channel, portrait)
    slack.emulator.post(bob, channel, f"<@{slack.emulator.bot}>?", thread=post)
    (answer,) = slack.said(channel, 1)
    assert (answer.thread, answer.only_for) == (post, None)
    assert LARGE in answer.shown
    assert "Happy" in answer.shown


def test_a_mention_without_a_photo_is_explained_to_its_writer_alone(slack: EmulatedBot) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada)
    slack.emulator.post(ada, channel, f"Hello <@{slack.emulator.bot}>")
    (answer,) = slack.said(channel, 1)
    assert (answer.shown, answer.only_for) == (ENGLISH.photo_needed, ada)


# Direct messages


def test_in_a_direct_message_a_photo_gets_its_emoji_the_words_and_buttons(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    direct = slack.emulator.direct(ada)
    post = slack.emulator.upload(ada, direct, portrait)
    (answer,) = slack.said(direct, 1)
    header = answer.blocks[0]
    assert (header["type"], header["text"]["text"]) == ("header", LARGE)
    assert "Happy, 9" in answer.shown
    assert "Next: " in answer.shown
    assert [button["text"]["text"] for button in answer.buttons] == [WORDS.right, WORDS.wrong]
    assert slack.emulator.reactions(direct, post) == []


@pytest.mark.parametrize(
    ("give", "sentence"),
    [
        (lambda emulator, ada, direct: emulator.post(ada, direct, "How do I look?"), WORDS.not_a_photo),
        (lambda emulator, ada, direct: emulator.upload(ada, direct, FACELESS), WORDS.no_face),
        (lambda emulator, ada, direct: emulator.upload(ada, direct, b"no picture"), WORDS.unsupported),
    ],
    ids=["words", "no face", "no picture"],
)
def test_in_a_direct_message_anything_else_gets_one_helpful_sentence(
    slack: EmulatedBot, give: Callable[[SlackEmulator, str, str], str], sentence: str
) -> None:
    ada = slack.emulator.person()
    direct = slack.emulator.direct(ada)
    give(slack.emulator, ada, direct)
    (answer,) = slack.said(direct, 1)
    assert answer.shown == sentence
    assert answer.buttons == []


# Feedback


def test_a_pressed_button_is_counted_and_the_message_says_thanks(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    direct = slack.emulator.direct(ada)
    slack.emulator.upload(ada, direct, portrait)
    (answer,) = slack.said(direct, 1)
    before = slack.counted("happy", "happy")
    slack.emulator.press(ada, direct, answer, WORDS.right)
    wait_until(lambda: WORDS.thanks in slack.said(direct, 1)[0].shown)
    (changed,) = slack.said(direct, 1)
    assert changed.buttons == []
    assert changed.blocks[0] == answer.blocks[0]
    assert slack.counted("happy", "happy") == before + 1


def test_a_correction_is_counted(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    direct = slack.emulator.direct(ada)
    slack.emulator.upload(ada, direct, portrait)
    (answer,) = slack.said(direct, 1)
    slack.emulator.press(ada, direct, answer, WORDS.wrong)
    wait_until(lambda: WORDS.which_expression in slack.said(direct, 1)[0].shown)
    slack.emulator.press(ada, direct, slack.said(direct, 1)[0], WORDS.surprise.capitalize())
    wait_until(lambda: WORDS.thanks in slack.said(direct, 1)[0].shown)
    assert slack.counted("happy", "surprise") == 1


# The slash command


def test_the_window_s_photo_is_answered_to_the_asker_alone(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada)
    assert slack.window(ada, channel)["title"]["text"] == ENGLISH.modal_title
    slack.submit(ada, portrait, share=False)
    (answer,) = slack.said(channel, 1)
    assert answer.only_for == ada
    assert LARGE in answer.shown
    slack.emulator.press(ada, channel, answer, WORDS.right)
    wait_until(lambda: WORDS.thanks in slack.said(channel, 1)[0].shown)


def test_a_window_without_a_photo_stays_open(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada)
    view = slack.window(ada, channel)
    slack.emulator.submit(ada, {})
    assert slack.emulator.modal() == view
    slack.submit(ada, portrait, share=False)
    assert LARGE in slack.said(channel, 1)[0].shown


def test_the_window_s_photo_is_answered_to_all_if_the_asker_wishes(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada)
    slack.window(ada, channel)
    slack.submit(ada, portrait, share=True)
    (answer,) = slack.said(channel, 1)
    assert answer.only_for is None
    assert LARGE in answer.shown
    assert ENGLISH.shared.format(user=f"<@{ada}>") in answer.shown


def test_the_window_gives_the_picture_back_with_the_face_covered(slack: EmulatedBot, portrait: bytes) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada)
    slack.window(ada, channel)
    slack.submit(ada, portrait, share=True, mask=True)
    slack.window(ada, channel)
    slack.submit(ada, portrait, share=False, mask=True)
    to_all, pointer = slack.said(channel, 2)
    (to_ada,) = slack.said(slack.emulator.direct(ada), 1)
    assert (to_all.only_for, to_all.shown) == (None, ENGLISH.shared_mask.format(user=f"<@{ada}>"))
    assert (pointer.only_for, pointer.shown) == (ada, ENGLISH.mask_sent)
    for message in (to_all, to_ada):
        (file,) = message.files
        assert file["alt_txt"] == f"{ENGLISH.mask_alt}: {LARGE}"
        picture = Image.open(io.BytesIO(slack.emulator.download(file)))
        assert picture.getpixel((228, 90)) == pytest.approx((252, 234, 43), abs=25)  # the forehead


def test_the_channel_s_last_photo_is_read_for_the_asker_alone(slack: EmulatedBot, portrait: bytes) -> None:
    ada, bob = slack.emulator.person(), slack.emulator.person()
    channel = slack.channel(ada)
    slack.emulator.upload(bob, channel, portrait)
    slack.emulator.post(bob, channel, "Me in my suit")
    assert LARGE in slack.ask(ada, channel, "last")


def test_without_a_profile_photo_me_says_so(slack: EmulatedBot) -> None:
    ada = slack.emulator.person()
    assert slack.ask(ada, slack.channel(ada), "me") == ENGLISH.no_profile_photo


def test_the_status_is_told_to_the_asker_alone(slack: EmulatedBot) -> None:
    ada = slack.emulator.person()
    off, on = slack.channel(ada), slack.channel(ada, auto=True)
    assert ENGLISH.status_off in slack.ask(ada, off, "status")
    assert ENGLISH.status_on in slack.ask(ada, on, "status")
    assert slack.ask(ada, on, "on") == ENGLISH.status_on


def test_help_explains(slack: EmulatedBot) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada)
    explained = ENGLISH.help.format(bot=f"<@{slack.emulator.bot}>")
    unknown = ENGLISH.unknown_command.format(word="weather")
    asked = [slack.ask(ada, channel, words) for words in ("help", "weather")]
    assert asked == [explained, f"{unknown}\n\n{explained}"]


@pytest.mark.parametrize("name", ["tada", SlackEmulator.custom_emoji])
def test_a_channel_may_have_its_own_emoji(slack: EmulatedBot, portrait: bytes, name: str) -> None:
    ada = slack.emulator.person()
    channel = slack.channel(ada, auto=True)
    shown = {"tada": "🎉"}.get(name, f":{name}:")
    changed = slack.ask(ada, channel, f"map happy :{name}:")
    assert changed == WORDS.map_done.format(expression="happy", emoji=shown)
    assert shown in slack.ask(ada, channel, "map")
    post = slack.emulator.upload(ada, channel, portrait)
    wait_until(lambda: slack.idle, 20)
    assert slack.emulator.reactions(channel, post) == [name]


def test_an_emoji_that_the_workspace_lacks_is_refused(slack: EmulatedBot) -> None:
    ada = slack.emulator.person()
    answer = slack.ask(ada, slack.channel(ada), "map happy :nowhere:")
    assert answer == ENGLISH.unknown_emoji.format(name=":nowhere:")


# App Home


def test_the_app_home_explains_and_shows_the_settings(slack: EmulatedBot) -> None:
    ada = slack.emulator.person()
    slack.emulator.open_home(ada)
    wait_until(lambda: slack.emulator.home(ada) is not None)
    shown = str(slack.emulator.home(ada))
    for sentence in (
        ENGLISH.home_title,
        ENGLISH.home_privacy,
        ENGLISH.home_read,
        ENGLISH.home_stop,
        ENGLISH.home_erase,
    ):
        assert sentence in shown
