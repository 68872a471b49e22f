"""`python -m bot`: the command line. `bot.app` builds things."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C amid imports ends it at once, and without a word

import argparse
import asyncio
import os
import resource
import sys

from bot.errors import SettingsError
from bot.reader_process import prepare
from bot.settings import load_settings, variable_of
from inference import Face2EmojiError

COMMANDS = {
    "run": "serve the web page and the chat platforms that are set up (default)",
    "worker": "only answer jobs, beside other processes on the same PostgreSQL",
    "feedback": "print how often answers were confirmed or corrected, as CSV",
    "manifest": "print the manifest from which Slack makes the app",
    "doctor": "check the settings, the model, the database and the chat platforms, and say what to do",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 fine, 1 could not start, 2 wrong usage or settings."""
    parser = argparse.ArgumentParser(
        prog="python -m bot",
        description="Face2Emoji: a photo in, an emoji out.",
        epilog="\n".join(f"  {name:10}{text}" for name, text in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run")
    of_manifest = parser.add_argument_group("options of manifest")
    of_manifest.add_argument("--http", metavar="URL", help="events come to this https address, not by Socket Mode")
    of_manifest.add_argument("--many", action="store_true", help="for many workspaces, which install the app by OAuth")
    options = parser.parse_args(arguments)
    command = options.command
    if command != "manifest" and (options.http or options.many):
        parser.error("--http and --many are options of manifest")
    settings = None
    try:
        settings = load_settings(complete=command != "manifest")  # which comes before the tokens
        if command in ("run", "worker", "doctor"):
            prepare()  # meanwhile everything else is imported and built
        from bot.app import Bot, export_feedback, listen, reader_loader, say, work
        from bot.logs import configure_logs

        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        configure_logs(settings.log_format, settings.log_level)
        if command == "run":
            asyncio.run(Bot(settings, reader_loader(settings)).run(listen(settings.host, settings.port)))
        elif command == "worker":
            asyncio.run(work(settings, reader_loader(settings)))
        elif command == "manifest":
            from bot.slack_manifest import manifest_text

            print(manifest_text(settings, http=options.http, many=options.many), flush=True)
        elif command == "doctor":
            from bot.doctor import report

            return 0 if asyncio.run(report(settings, reader_loader(settings), say)) else 1
        else:
            export_feedback(settings)
    except Face2EmojiError as error:
        print(error.message, file=sys.stderr)
        if variable := settings and variable_of(error, settings):
            print(f"It is set by {variable}.", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) or variable else 1
    except BrokenPipeError:  # who reads it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    os.umask(0o077)  # the database knows chats and people by number: it is for this user alone
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold photos and tokens
    sys.exit(main())
