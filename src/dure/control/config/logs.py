"""How log lines are kept short where strangers decide what is in them."""

import logging

_MOST = 300


class OneLine(logging.Filter):
    """A refused request takes one line of bounded length, with no traceback: scanners send thousands."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = " ".join(record.getMessage().split())
        record.msg, record.args = text if len(text) <= _MOST else f"{text[:_MOST]}…", ()
        record.exc_info = record.exc_text = record.stack_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
