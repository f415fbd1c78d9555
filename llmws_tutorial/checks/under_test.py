"""A server under test with all that its checks need, judged while one waits.

For callers without an event loop, and for those with one that is not to be touched: the checks run
on a loop of their own, in a thread of their own if this one is taken.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from llmws_tutorial.checks.case import Case
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.memory import App, in_memory
from llmws_tutorial.checks.probe import PATIENCE_S, Conditions
from llmws_tutorial.checks.runner import absence, judge
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.checks.transport import Transport
from llmws_tutorial.simulator.llm_endpoint import served
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm

PATH: Final = "/llm-websocket/"
"""Where the calls of an app live, unless it is said otherwise."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class UnderTest:
    """A server, and what its checks need besides.

    Attributes:
        server: its URL without a call id, or an ASGI app that is called without a port.
        path: where the calls of an app live.
        patience_s: how long to wait for something that must come (seconds).
        llm: the model that the server asks; None: none, or that of `llm_port`.
        llm_port: where to serve a scripted model meanwhile; None: nowhere.
        webhook: the URL of its webhook, or the path in an app; None: there is none.
        webhook_key: the API key that signs webhooks.
    """

    server: str | App
    path: str = PATH
    patience_s: float = PATIENCE_S
    llm: ScriptedLlm | None = None
    llm_port: int | None = None
    webhook: str | None = None
    webhook_key: str = ""

    def judge(self, cases: Sequence[Case]) -> list[Finding]:
        """Run cases, side by side; one finding a case, in their order.

        Raises:
            CannotConnect: when the URL cannot be dialled at all, or the app does not start.
            SetupError: when the port of the model is taken, or the webhook's URL is none.
        """
        return _alone(lambda: self._judge(cases))

    def absence(self) -> str | None:
        """Say why no socket opens; None when one does.

        Raises:
            CannotConnect, SetupError: as for `judge`.
        """
        return _alone(self._absence)

    async def _judge(self, cases: Sequence[Case]) -> list[Finding]:
        async with AsyncExitStack() as stack:
            llm = self.llm
            if self.llm_port is not None:
                llm = ScriptedLlm()
                await stack.enter_async_context(served(llm, port=self.llm_port))
            conditions = Conditions(
                patience_s=self.patience_s, llm=llm, webhook_key=self.webhook_key
            )
            return await judge(await self._reach(stack), cases, conditions)

    async def _absence(self) -> str | None:
        async with AsyncExitStack() as stack:
            return await absence(await self._reach(stack))

    async def _reach(self, stack: AsyncExitStack) -> Transport:
        if isinstance(self.server, str):
            return Sockets(self.server, webhook=self.webhook)
        app = in_memory(self.server, path=self.path, webhook=self.webhook)
        return await stack.enter_async_context(app)


def _alone(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run a coroutine to its end, whether or not an event loop has this thread already."""

    def run() -> _Result:
        # A loop of one's own leaves the thread's current loop, and whoever minds it, alone.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(work())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()
