"""Servers that answer wrongly, each in one way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from llmws_tutorial.checks.samples.right import Json, Model, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall


class CountsForItself(Right):
    """Counts the requests of a call instead of copying their ids."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.counts: dict[str, int] = {}

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Number a request as the one after the last."""
        if type(request.get("response_id")) is int:
            before = self.counts.get(call.call_id, request["response_id"] - 1)
            self.counts[call.call_id] = before + 1
            request = {**request, "response_id": before + 1}
        await super().take_request(call, request)


class AnswersUpdates(Right):
    """Answers an update as well: as it has no id, under that of the first message."""

    async def take_other(self, call: SampleCall, message: Json) -> None:
        """Say that one has heard."""
        if message.get("interaction_type") == "update_only":
            await call.finish(message.get("response_id", 0), "I see.")


class KnowsNoReminders(Right):
    """Takes only response_required for a request."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer when the caller has said something."""
        if request["interaction_type"] == "response_required":
            await super().take_request(call, request)


class StopsAtUpdates(Right):
    """Takes each update for an interruption, and stops to speak."""

    async def take_other(self, call: SampleCall, message: Json) -> None:
        """Give up the answer, because the caller speaks."""
        if message.get("interaction_type") == "update_only":
            call.stop()


class AddsAnAfterthought(Right):
    """Goes on when it has said that the answer is whole."""

    async def answer(self, call: SampleCall, request: Json) -> None:
        """Answer, and offer more help."""
        await super().answer(call, request)
        if not call.says_goodbye:
            await call.finish(request["response_id"], " Is there anything else?")


class FillsDeadTurns(Right):
    """Bridges a long silence, also that of a turn that is over."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Prepare to say that it takes a moment."""
        if type(request.get("response_id")) is int:
            filler = asyncio.create_task(self.fill(call, request["response_id"]))
            request = {**request, "filler": filler}
        await super().take_request(call, request)

    async def fill(self, call: SampleCall, response_id: int) -> None:
        """Ask for patience when a second has passed."""
        await asyncio.sleep(1)
        await call.say(response_id, "One moment, please. ")

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Forget the filler with the first words."""
        async for piece in super().pieces(call, request):
            request["filler"].cancel()
            yield piece


class HearsNothingNew(Right):
    """Takes a request without new words for one that was sent twice."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.heard: dict[SampleCall, object] = {}

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer what has not been heard yet."""
        if self.heard.get(call) != request.get("transcript"):
            self.heard[call] = request.get("transcript")
            await super().take_request(call, request)


class RepeatsItself(Right):
    """Says its last sentence once more when the caller is silent."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Say what was said, in case that it was not heard."""
        said = request.get("transcript")
        if request["interaction_type"] == "reminder_required" and isinstance(said, list):
            yield [one["content"] for one in said if one.get("role") == "agent"][-1], {}
            return
        async for piece in super().pieces(call, request):
            yield piece


class NeedsAnUtterance(Right):
    """Does nothing as long as nobody has said anything."""

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Answer the last utterance."""
        if request.get("transcript") != []:
            await super().take_request(call, request)


class CountsInPercent(Right):
    """Gives a share in percent, where the protocol wants it between 0 and 1."""

    async def configure(self, call: SampleCall) -> None:
        """Make the agent a bit harder to interrupt."""
        await super().configure(call)
        await call.send("update_agent", agent_config={"interruption_sensitivity": 80})


class LeavesTheTypeOut(Right):
    """Writes its first message as in the guide of 2024."""

    async def greet(self, call: SampleCall) -> None:
        """Greet in the old form."""
        self.greeted.add(call.call_id)
        await call.write(
            {"response_id": 0, "content": "How may I help you?", "content_complete": True}
        )


class FillsUnderTheOldId(Right):
    """Says its first word before it has taken note of the new id."""

    def __init__(self, model: Model | None = None) -> None:
        super().__init__(model)
        self.latest: dict[SampleCall, int] = {}

    async def take_request(self, call: SampleCall, request: Json) -> None:
        """Fill the pause while the answer is being made."""
        if type(request.get("response_id")) is int:
            if call in self.latest:
                await call.say(self.latest[call], "Well, ")
            self.latest[call] = request["response_id"]
        await super().take_request(call, request)


class MakesUpAnEvent(Right):
    """Confirms each update with an event of its own."""

    async def take_other(self, call: SampleCall, message: Json) -> None:
        """Say that one has listened."""
        if message.get("interaction_type") == "update_only":
            await call.send("update_received")


WRONG: Final[dict[str, type[Right]]] = {
    "turns/1": CountsForItself,
    "turns/2": AnswersUpdates,
    "turns/3": KnowsNoReminders,
    "turns/4": StopsAtUpdates,
    "turns/5": AddsAnAfterthought,
    "turns/6": FillsDeadTurns,
    "turns/7": HearsNothingNew,
    "turns/14": RepeatsItself,
    "turns/15": NeedsAnUtterance,
    "turns/16": CountsInPercent,
    "turns/17": LeavesTheTypeOut,
    "turns/18": FillsUnderTheOldId,
    "turns/19": MakesUpAnEvent,
}
"""For each case the server that fails it, and no other."""
