"""Logs on standard error: for people on a terminal, JSON elsewhere. Nobody logs pixels, file names or addresses."""

from __future__ import annotations

import logging
import re
import sys
from typing import Literal

import structlog

# Telegram's; Slack's, and the ticket in the address of its WebSocket.
_TOKEN = re.compile(r"\d{5,}:[\w-]{20,}|\bxox[a-z][.-][\w.-]+|\bxapp-[\w-]+|(?<=ticket=)[\w-]+")


class _Discreet(structlog.stdlib.ProcessorFormatter):
    """The last line of defence: chat platforms' addresses contain tokens, and libraries like to quote addresses."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with tokens blackened."""
        return _TOKEN.sub("<token>", super().format(record))


def _place_and_kind(record: logging.LogRecord) -> bool:
    """Leave no more of DBOS's remarks: they name jobs, and so people, and quote what the database was asked."""
    kind = (record.exc_info or sys.exc_info())[0]
    record.msg, record.args = f"dbos: {kind.__name__ if kind else 'remark'} at {record.filename}:{record.lineno}", ()
    record.exc_info = record.exc_text = record.stack_info = None
    return True


def configure_logs(style: Literal["auto", "console", "json"], level: str) -> None:
    """Send our own log and that of the libraries to standard error in one style."""
    as_console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,  # which request or job a line is about
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if as_console else "iso", utc=not as_console),
    ]
    # Plain tracebacks: structlog's pretty ones print local variables, and those hold people's photos.
    finish: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if as_console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Discreet(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    # The libraries' everyday remarks are not ours to print: at "debug" Pillow tells what a photo's EXIF says.
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, logging.getLevelName(level.upper())), force=True)
    logging.getLogger("bot").setLevel(level.upper())
    # Nor a page of HTML for each time Telegram is down.
    logging.getLogger("telegram.request").setLevel(logging.CRITICAL)
    # Nor a line for everything strangers send that is no HTTP, nor a traceback for a live message that is no text.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(lambda record: not str(record.msg).startswith("Invalid UTF-8"))
    # Bolt warns of tokens in the environment that it does not use, and of workspaces that have not installed us.
    logging.getLogger("slack_bolt").setLevel(logging.CRITICAL)
    dbos = logging.getLogger("dbos")
    dbos.addFilter(_place_and_kind)
    # Where it finds no handler it makes one of its own, past ours.
    dbos.handlers, dbos.propagate = [logging.NullHandler()], True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
