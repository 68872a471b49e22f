"""What the bot itself can refuse, beside the photo errors of `inference`: every sentence of ours that people read."""

from __future__ import annotations

from typing import ClassVar

from inference import Face2EmojiError

EMPTY_BODY = "Nothing arrived. Send the bytes of one photo as the request body."
TOO_MANY_BYTES = "The photo is larger than {limit}. Send a smaller one."


class BotError(Face2EmojiError):
    """An error with a fixed sentence and, where trying again helps, the seconds to wait before it."""

    sentence: ClassVar[str] = "Something went wrong on our side. It has been noted; please try another photo."
    retry_after: ClassVar[int | None] = None

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.sentence)


class InternalError(BotError):
    """A mistake of ours."""


class NotReady(BotError):
    """No reader is loaded, yet or after all died, or the server is stopping."""

    code = "not_ready"
    sentence = "The server cannot read photos yet. Try again in a few seconds."
    stopping = "The server is stopping, perhaps to start anew. Try again in a few seconds."
    retry_after = 2


class Busy(BotError):
    """The waiting line is full, a photo waited in it for too long, or too many connections are open."""

    code = "busy"
    sentence = "Many photos are being read right now. Try again in a moment."
    connections = "Too many connections are open right now. Try again in a moment."
    retry_after = 1


class RateLimited(BotError):
    """One address sends more photos than its share."""

    code = "rate_limited"
    sentence = "Too many photos came from your address at once. Wait a second, then go on."
    retry_after = 1


class LiveFull(BotError):
    """As many live pages are open as the settings allow, in all or from one address."""

    code = "live_full"
    retry_after = 10
    sentence = "Too many people are live right now. Wait a little, or read single photos in the meantime."
    from_address = "Too many live pages are open from your address. Close one of them, or wait until one ends."


class LiveRefused(BotError):
    """Live is switched off, or something else than small pictures came in, or nothing for too long."""

    code = "live_refused"
    off = "Live is switched off here. Read single photos instead."
    words = "A live connection takes frames only: the bytes of a small picture, one message each."
    too_large = "The frames are too large for a live connection. Send at most {pixels} pixels each."
    idle = "No frame has come for {seconds:.0f} seconds, so the live connection was closed."


class WrongContentType(BotError):
    """A form, JSON or text where the bytes of a photo belong."""

    code = "wrong_content_type"
    sentence = (
        "Send the bytes of the photo themselves as the request body (image/jpeg, image/png, ... "
        "or application/octet-stream), not a form, JSON or text."
    )
    encoded = "Send the photo's bytes as they are, without Content-Encoding: photos are compressed already."


class WrongSwitch(BotError):
    """A switch in the address that does not exist, or, such as `?explain=`, with another value than 0 or 1."""

    code = "wrong_switch"
    sentence = "?{switch}= takes 1 for yes or 0 for no."
    unknown = "There is no ?{unknown}= here, only ?{switch}=1."


class TooSlow(BotError):
    """The body did not arrive in time."""

    code = "too_slow"
    sentence = "The photo took too long to arrive. Try again on a better connection, or send a smaller one."


class BadRequest(BotError):
    """No HTTP, or HTTP that two readers may understand in two ways."""

    code = "bad_request"
    two_lengths = "A request has either Content-Length or Transfer-Encoding, not both."
    handshake = "A WebSocket is asked for with a GET without a body, in lines of at most 8 kB, at most 128 of them."


class WrongHost(BotError):
    """The request was meant for a server of another name."""

    code = "wrong_host"
    sentence = (
        "This server does not go by the name in the Host header. Use the right address; whoever runs the server can "
        "allow another name in FACE2EMOJI_ALLOWED_HOSTS."
    )


class WrongOrigin(BotError):
    """A browser sends a photo for a page of another site."""

    code = "wrong_origin"
    sentence = (
        "Pages of other sites may not send photos here. If this is the server's own page, a proxy hides its name: "
        "whoever runs the server can set it in FACE2EMOJI_PUBLIC_URL."
    )


class NotFound(BotError):
    """No such page."""

    code = "not_found"
    sentence = "There is nothing at this address. The page is at /, photos go to POST /api/read or /api/mask."


class MethodNotAllowed(BotError):
    """The page exists, but not for this HTTP method."""

    code = "method_not_allowed"
    sentence = "This address does not take that HTTP method. Photos go to POST /api/read or /api/mask."


class UpgradeRequired(BotError):
    """The request is plain HTTP, at an address for WebSockets."""

    code = "upgrade_required"
    sentence = (
        "This address speaks WebSocket: come with ws:// or wss://. Where a proxy stands in front of the server, it has "
        "to pass the Upgrade header on. Single photos go to POST /api/read."
    )


class ReaderDied(BotError):
    """The process of a reader ended.

    Args:
        cause: how: a signal's name, ``status 1``, or ``timeout`` where it was killed for taking too long.
        by_photo: a photo was being read, and is held to be the cause.
    """

    code = "reader_died"
    sentence = (
        "The process that reads photos ended ({cause}). Where memory is short the system kills it; otherwise run "
        "`python -m bot doctor`."
    )
    of_photo = "Reading this photo failed, and would again. Send another one, or a copy saved anew."

    def __init__(self, cause: str, *, by_photo: bool) -> None:
        super().__init__(self.sentence.format(cause=cause))
        self.cause = cause
        self.by_photo = by_photo


class SettingsError(BotError):
    """Environment or .env are wrong: the administrator's side."""

    code = "bad_settings"


class DatabaseUnavailable(BotError):
    """The database cannot be opened, or is somebody else's."""

    code = "database_unavailable"
    unreachable = "The database {place} cannot be opened: {reason}. Check FACE2EMOJI_DATABASE_URL."
    away = "The database cannot be reached; it is tried again."
    taken = (
        "Another Face2Emoji already works on {place}. Stop it, or give each its own FACE2EMOJI_DATABASE_URL; "
        "several processes can share a PostgreSQL."
    )


class WorkerMisplaced(SettingsError):
    """A worker that could do nothing with these settings."""

    code = "worker_misplaced"
    not_shared = (
        "More workers need a database that processes can share. Set FACE2EMOJI_DATABASE_URL to the same postgresql:// "
        "address for all of them."
    )
    no_platform = (
        "A worker answers photos of chat platforms, and none is set up: docs/telegram.md and docs/slack.md show how."
    )


class FileUnavailable(BotError):
    """A chat platform does not give out the file (any more)."""

    code = "file_unavailable"
    sentence = "The photo could not be fetched. Please send it again."


class ScopeMissing(FileUnavailable):
    """A chat platform never granted us a permission that our work needs: the side of whoever installed us.

    Args:
        scope: the permission's name.
    """

    code = "scope_missing"
    sentence = "{scope} is missing: reinstall the app."

    def __init__(self, scope: str) -> None:
        super().__init__(self.sentence.format(scope=scope))
        self.scope = scope


class PlatformRefused(SettingsError):
    """A chat platform does not know our token, or does not take our address."""

    code = "platform_refused"
    unreachable = (
        "Telegram cannot be reached. Check the connection of this machine, and TELEGRAM_BASE_URL if it is set."
    )
    webhook = "Telegram does not take the address {url}: {reason}. Check FACE2EMOJI_PUBLIC_URL."
    conflict = (
        "Another program asks Telegram for the updates of this bot, and only one may. "
        "Stop it, or give it a bot of its own."
    )
    sentence = (
        "Telegram does not accept TELEGRAM_BOT_TOKEN. Copy it again from @BotFather (/mybots, your bot, API Token); "
        "a token that was revoked stays refused."
    )
    slack_unreachable = (
        "Slack cannot be reached. Check the connection of this machine, and SLACK_BASE_URL if it is set."
    )
    slack_bot_refused = (
        "Slack does not accept SLACK_BOT_TOKEN ({reason}). Copy it again from your app at https://api.slack.com/apps, "
        "OAuth & Permissions; reinstall the app there if it was removed."
    )
    slack_app_refused = (
        "Slack does not accept SLACK_APP_TOKEN ({reason}). Make one in your app at https://api.slack.com/apps, Basic "
        "Information, App-Level Tokens, with the scope connections:write."
    )


class AddressUnavailable(BotError):
    """The host and port cannot be listened on."""

    code = "address_unavailable"
    port_taken = (
        "Port {port} on {host} is already in use. Stop the other program or set FACE2EMOJI_PORT to a free port."
    )
    refused = "Cannot listen on {host}, port {port}: {reason}. Check FACE2EMOJI_HOST and FACE2EMOJI_PORT."
