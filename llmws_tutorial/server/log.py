"""What a server writes down: one line for each event, without what people say."""

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from llmws_tutorial.errors import LlmwsError

log: Final = logging.getLogger("uvicorn.llm_websocket")  # shown wherever uvicorn's lines are
MOST_CHARACTERS: Final = 300
"""The longest text that comes from outside in a line."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?!\d)")
_CLOSED: Final = "the handler is closed"  # in an error of uvloop
_secrets: set[str] = set()
_STANDARD: Final = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime"}


def one_line(text: str) -> str:
    """Make a text fit for a line: short, and nothing in it ends the line."""
    shown = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text[: MOST_CHARACTERS + 1])
    return shown if len(text) <= MOST_CHARACTERS else f"{shown[:MOST_CHARACTERS]} ..."


def redact(text: str) -> str:
    """Mask what looks like the number of a payment card, in one line."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], _CARD.sub("[card number]", text))


def cause(error: BaseException) -> str:
    """What went wrong and where, without a text that could quote what was said.

    The errors of this package say nothing private, so they are told in full.
    """
    if isinstance(error, LlmwsError):
        return one_line(str(error))
    kind = type(error).__name__
    places = list(traceback.walk_tb(error.__traceback__))
    return f"{kind} in {places[-1][0].f_code.co_name}, line {places[-1][1]}" if places else kind


def tell(call_id: str, event: str, text: str) -> None:
    """Write one line about a call; the text is one line already."""
    log.info("call %r: %s, %s", call_id, event, text, extra={"call_id": call_id, "event": event})


def hide(secret: str) -> None:
    """Let `tidy` mask this secret wherever it stands."""
    _secrets.update({secret, quote(secret)} - {""})


def tidy(record: logging.LogRecord) -> bool:
    """Make a record of uvicorn fit to be kept: one line, and without a secret."""
    if record.exc_info and _CLOSED in str(record.exc_info[1]):
        return False  # an answer to a peer that has gone
    if "Invalid UTF-8" in record.msg:  # what a peer sent is no error of this server
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    if isinstance(record.args, tuple):
        record.args = tuple(_mask(arg) if isinstance(arg, str) else arg for arg in record.args)
    return True


def _mask(text: str) -> str:
    for secret in _secrets:
        text = text.replace(secret, "***")
    return re.sub(r"(/llm-websocket/)[^?]*/", r"\1***/", text)


class JsonLines(logging.Formatter):
    """Each record as one JSON object: time, level, logger, message, extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record; an exception adds its traceback as a field."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        fields.pop("color_message", None)  # uvicorn's, for terminals
        return json.dumps(fields, default=str)
