"""Servers that hang up, transfer or press keys wrongly, each in one way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from llmws_tutorial.checks.samples.right import Json, Piece, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall


class HangsUpSilently(Right):
    """Hangs up without a word."""

    def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
        """Ask for an action, and say nothing where that is a hang-up."""
        content, fields = super().act(call, name, arguments)
        return "" if "end_call" in fields else content, fields


class TransfersAndHangsUp(Right):
    """Wants to leave the call once it is put through."""

    def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
        """Ask for an action, and after a transfer for a hang-up."""
        content, fields = super().act(call, name, arguments)
        return content, fields | {"end_call": True} if "transfer_number" in fields else fields


class CanBeTalkedOver(Right):
    """Lets the caller talk over a farewell."""

    def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
        """Ask for an action as if it were any other piece."""
        content, fields = super().act(call, name, arguments)
        return content, fields | {"no_interruption_allowed": False}


class SaysGoodbyeOnce(Right):
    """Takes a hang-up that it asked for once for done."""

    def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
        """Ask for an action, for a hang-up only the first time."""
        if call.says_goodbye and name == "end_call":
            return "Goodbye!", {}
        return super().act(call, name, arguments)


class TransfersToAName(Right):
    """Puts the name of a department where the number belongs."""

    def act(self, call: SampleCall, name: str, arguments: Json) -> Piece:
        """Ask for an action, for a transfer by name."""
        content, fields = super().act(call, name, arguments)
        return content, fields | {
            "transfer_number": "reception"
        } if name == "transfer_call" else fields


class WaitsForTheEnd(Right):
    """Leaves a turn open until the platform has done what it was asked for."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Find what to say, and after an action wait for the end of the call."""
        async for content, fields in super().pieces(call, request):
            yield content, fields
            if fields:
                await asyncio.Event().wait()


class HangsUpAtSilence(Right):
    """Hangs up as soon as the caller is quiet for a moment."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Find what to say; a reminder means that nobody is there."""
        if request["interaction_type"] == "reminder_required":
            yield self.act(call, "end_call", {})
            return
        async for piece in super().pieces(call, request):
            yield piece


class TalksOn(Right):
    """Lets nobody interrupt whatever it says."""

    async def pieces(self, call: SampleCall, request: Json) -> AsyncIterator[Piece]:
        """Find what to say, and protect all of it."""
        async for content, fields in super().pieces(call, request):
            yield content, {"no_interruption_allowed": True, **fields}


WRONG: Final[dict[str, type[Right]]] = {
    "actions/1": HangsUpSilently,
    "actions/2": TransfersAndHangsUp,
    "actions/3": CanBeTalkedOver,
    "actions/4": SaysGoodbyeOnce,
    "actions/5": TransfersToAName,
    "actions/6": WaitsForTheEnd,
    "actions/7": HangsUpAtSilence,
    "actions/8": TalksOn,
}
"""For each case the server that fails it, and no other."""
