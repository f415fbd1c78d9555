"""Servers that odd input upsets, each in one way."""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from fastapi import WebSocket

from llmws_tutorial.checks.samples.right import (
    BadFrame,
    Json,
    Model,
    Right,
    last_words,
    refuse_constant,
)
from llmws_tutorial.checks.samples.sample_call import SampleCall

BINARY_REASON: Final = "Cannot find corresponding Retell LLM."
PARSE_REASON: Final = "Cannot parse incoming message."
EVENTS: Final = ("update_only", "response_required", "reminder_required", "call_details")
"""What a table of handlers may hold."""
FIELDS: Final = frozenset(
    {"interaction_type", "response_id", "transcript", "transcript_with_tool_calls", "turntaking"}
)
"""What a strict model of a request allows."""
LONGEST: Final = 10_000
"""How long such a model lets the content of an utterance be."""
ROLES: Final = {"agent": "assistant", "user": "user"}
"""What a model calls the two sides."""
log: Final = logging.getLogger(__name__)


def read(text: str | None, constant: Callable[[str], Any] = refuse_constant) -> Any:
    """Read a frame as the right server does, and do not ask what JSON it is."""
    if text is None:
        raise BadFrame(BINARY_REASON)
    try:
        return json.loads(text, parse_constant=constant)
    except (ValueError, RecursionError):
        raise BadFrame(PARSE_REASON) from None


def utterances(request: Json) -> list[Json]:
    """Read the utterances of a request, as far as they are any."""
    transcript = request.get("transcript")
    said = transcript if isinstance(transcript, list) else []
    return [one for one in said if isinstance(one, dict)]


class ClosesBinaryWith1003(Right):
    """Closes on a binary frame with the code that WebSocket itself has for it."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        """Hold the call, and end it where a frame has no text."""
        try:
            await super().take_call(ws, secret, call_id)
        except TypeError:
            await ws.close(1003, BINARY_REASON)

    def parse(self, text: str | None) -> Json:
        """Leave what has no text to whoever holds the call."""
        if text is None:
            raise TypeError
        return super().parse(text)


class ClosesTextWith1011(Right):
    """Takes text that it cannot parse for an error of its own."""

    async def take_call(self, ws: WebSocket, secret: str, call_id: str) -> None:
        """Hold the call, and end it where something was raised."""
        try:
            await super().take_call(ws, secret, call_id)
        except ValueError:
            await ws.close(1011, PARSE_REASON)

    def parse(self, text: str | None) -> Json:
        """Leave what is not JSON to whoever holds the call."""
        if text:
            json.loads(text)
        return super().parse(text)


class TakesNullForAnObject(Right):
    """Asks what kind of JSON came, and forgets that null is none of them."""

    def parse(self, text: str | None) -> Json:
        """Refuse lists, strings and numbers."""
        message = read(text)
        if isinstance(message, list | str | int | float):
            raise BadFrame(PARSE_REASON)
        return message  # type: ignore[no-any-return]


class IgnoresEmptyFrames(Right):
    """Takes an empty text for no frame at all, because both are false."""

    def parse(self, text: str | None) -> Json:
        """Read a frame, if there is anything in it."""
        return {} if text == "" else super().parse(text)


class RefusesNothingButNull(Right):
    """Takes everything that parses and is not null for an object."""

    def parse(self, text: str | None) -> Json:
        """Refuse null."""
        message = read(text)
        if message is None:
            raise BadFrame(PARSE_REASON)
        return message  # type: ignore[no-any-return]


class RaisesAtUnknownEvents(Right):
    """Raises where a message is none of those that it knows."""

    async def take_other(self, call: SampleCall, message: Json) -> None:
        """Take an update; there is nothing else."""
        if message.get("interaction_type", "update_only") not in EVENTS:
            raise ValueError("unknown event")


class CountsOnAnEvent(Right):
    """Counts on an interaction_type in every message."""

    async def take(self, call: SampleCall, message: Json) -> None:
        """Log which event it is, then do what it asks for."""
        log.debug("event %s", message["interaction_type"])
        await super().take(call, message)


class ForbidsUnknownFields(Right):
    """Reads requests with a model that forbids what it does not know."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer a request that fits the model."""
        if request.keys() <= FIELDS:
            await super().take_request(call, request)


class KnowsTwoRoles(Right):
    """Has a name for two roles, and counts on there being no other."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Log who spoke in the model's words, then answer."""
        log.debug("spoken: %s", [ROLES[said["role"]] for said in utterances(request)])
        await super().take_request(call, request)


class WaitsForWords(Right):
    """Does not answer what was not understood: the caller will say it again."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer when there is something to answer."""
        if last_words(request.get("transcript")) != "(unintelligible audio)":
            await super().take_request(call, request)


class CountsOnTimes(Right):
    """Takes words for a list where they are there, and each to have its times."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Log how long people spoke, then answer."""
        words = [word for said in utterances(request) for word in said.get("words", ())]
        log.debug("spoken: %s s", sum(word["end"] - word["start"] for word in words))
        await super().take_request(call, request)


class CountsOnAnId(Right):
    """Counts on a number as the id of every request."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer every request but the begin message, which is none."""
        if request["response_id"] > 0:
            await super().take_request(call, request)


class CountsOnATranscript(Right):
    """Counts on a transcript in every request."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Log how long the call is, then answer."""
        log.debug("%d utterances", len(request["transcript"]))
        await super().take_request(call, request)


class CountsOnText(Right):
    """Counts on text as the content where there is one."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Log how much was said, then answer."""
        spoken = [said.get("content", "").split() for said in utterances(request)]
        log.debug("%d words", sum(map(len, spoken)))
        await super().take_request(call, request)


class EncodesWhatItHears(Right):
    """Encodes what was said, though there may be half a character in it."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Log how many bytes the caller's words are, then answer."""
        log.debug("%d bytes", len(last_words(request.get("transcript")).encode()))
        await super().take_request(call, request)


class EchoesNan(Right):
    """Leaves the parser as it comes: it reads NaN, and its writer writes it."""

    def parse(self, text: str | None) -> Json:
        """Read a frame with the words that JSON does not have."""
        message = read(text, float)
        return message if isinstance(message, dict) else super().parse(text)


class StartsAfresh(Right):
    """Starts afresh after an error that it did not expect, and so forgets every call."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin without any call."""
        super().__init__(model)
        self.calls: set[SampleCall] = set()

    async def configure(self, call: SampleCall) -> None:
        """Remember the call, and begin it."""
        self.calls.add(call)
        await super().configure(call)

    def parse(self, text: str | None) -> Json:
        """Read a frame; the stack may overflow."""
        try:
            json.loads(text or "null")
        except RecursionError:
            self.calls.clear()
        except ValueError:
            pass  # an error that it did expect
        return super().parse(text)

    async def take(self, call: SampleCall, message: Json) -> None:
        """Serve the calls that it knows."""
        if call in self.calls:
            await super().take(call, message)


class ReadsLines(Right):
    """Takes the end of a line for the end of a message."""

    def parse(self, text: str | None) -> Json:
        """Read the first line."""
        return super().parse(text and text.partition("\n")[0])


class FilesFactsOnce(Right):
    """Files the facts of a call where there is room for one set of them."""

    def __init__(self, model: Model | None = None) -> None:
        """Begin with nothing on file."""
        super().__init__(model)
        self.files: set[SampleCall] = set()

    async def take(self, call: SampleCall, message: Json) -> None:
        """File the facts, if there are any; a database would raise as well."""
        if message.get("interaction_type") == "call_details" and message.get("call"):
            if call in self.files:
                raise KeyError("there is a file of this call already")
            self.files.add(call)
        await super().take(call, message)


class LimitsUtterances(Right):
    """Reads requests with a model that limits the length of an utterance."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer a request that fits the model."""
        if all(len(str(said.get("content"))) <= LONGEST for said in utterances(request)):
            await super().take_request(call, request)


class NamesBinaryOtherwise(Right):
    """Closes on a binary frame in words of its own."""

    def parse(self, text: str | None) -> Json:
        """Say what is wrong with the frame."""
        if text is None:
            raise BadFrame("expected text")
        return super().parse(text)


class NamesTextOtherwise(Right):
    """Closes on text that is not JSON in words of its own."""

    def parse(self, text: str | None) -> Json:
        """Say what is wrong with the frame."""
        try:
            return super().parse(text)
        except BadFrame as bad:
            raise BadFrame("expected JSON" if text else str(bad)) from None


WRONG: Final[dict[str, type[Right]]] = {
    "input/1": ClosesBinaryWith1003,
    "input/2": ClosesTextWith1011,
    "input/3": TakesNullForAnObject,
    "input/4": IgnoresEmptyFrames,
    "input/5": RefusesNothingButNull,
    "input/6": RaisesAtUnknownEvents,
    "input/7": CountsOnAnEvent,
    "input/8": ForbidsUnknownFields,
    "input/9": KnowsTwoRoles,
    "input/10": WaitsForWords,
    "input/11": CountsOnTimes,
    "input/12": CountsOnAnId,
    "input/13": CountsOnATranscript,
    "input/14": CountsOnText,
    "input/15": EncodesWhatItHears,
    "input/16": EchoesNan,
    "input/17": StartsAfresh,
    "input/18": ReadsLines,
    "input/19": FilesFactsOnce,
    "input/20": LimitsUtterances,
    "input/21": NamesBinaryOtherwise,
    "input/22": NamesTextOtherwise,
}
"""For each case the server that fails it, and no other."""
