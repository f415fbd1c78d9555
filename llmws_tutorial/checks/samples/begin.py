"""Servers that begin a call wrongly, each in one way."""

from typing import Final

from llmws_tutorial.checks.samples.right import Json, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall


class GreetsTooLong(Right):
    """Never says that its first message is whole."""

    async def greet(self, call: SampleCall) -> None:
        """Say the first message, and leave it open."""
        self.greeted.add(call.call_id)
        await call.say(0, "Hello, how may I help you?")


class ConfiguresLate(Right):
    """Greets before it sends its config."""

    async def configure(self, call: SampleCall) -> None:
        """Greet, and say only then what the platform is to send."""
        if call.call_id not in self.greeted:
            self.greeted.add(call.call_id)
            await call.finish(0, "Hello, how may I help you?")
        await super().configure(call)

    async def greet(self, call: SampleCall) -> None:
        """Say nothing: it was said already."""


class CountsOnEachFact(Right):
    """Reads the facts of a call as if none could be missing."""

    async def take(self, call: SampleCall, message: Json) -> None:
        """Look up what kind of call it is."""
        if message.get("interaction_type") == "call_details" and "call" in message:
            str(message["call"]["call_type"])
        await super().take(call, message)


class GreetsTwice(Right):
    """Greets at once, and again when it knows who is calling."""

    async def greet(self, call: SampleCall) -> None:
        """Greet, and greet."""
        self.greeted.add(call.call_id)
        await call.finish(0, "Hello!")
        await call.facts.wait()
        await call.finish(0, "Hello, how may I help you?")


WRONG: Final[dict[str, type[Right]]] = {
    "begin/1": GreetsTooLong,
    "begin/2": ConfiguresLate,
    "begin/3": CountsOnEachFact,
    "begin/4": GreetsTwice,
}
"""For each case the server that fails it, and no other."""
