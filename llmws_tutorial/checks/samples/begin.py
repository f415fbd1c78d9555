"""Servers that begin a call wrongly, each in one way."""

from typing import Final

from llmws_tutorial.checks.samples.right import Right
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


WRONG: Final[dict[str, type[Right]]] = {"begin/1": GreetsTooLong, "begin/2": ConfiguresLate}
"""For each case the server that fails it, and no other."""
