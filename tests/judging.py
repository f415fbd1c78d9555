"""Judge a sample server in memory and in virtual time."""

import asyncio
from collections.abc import Sequence

from llmws_tutorial.checks import Case, Conditions, Finding, in_memory, judge
from llmws_tutorial.checks.samples.right import SECRET, WEBHOOK_KEY, Right
from llmws_tutorial.simulator.scripted_llm import ScriptedLlm
from tests.virtual_time import run_virtually


def findings_about(server: type[Right], cases: Sequence[Case]) -> list[Finding]:
    """What the cases find about a sample server."""

    async def run() -> list[Finding]:
        model = ScriptedLlm(now_s=asyncio.get_running_loop().time)
        app = server(model.stream).app
        conditions = Conditions(llm=model, webhook_key=WEBHOOK_KEY)
        path = f"/llm-websocket/{SECRET}/"
        async with in_memory(app, path=path, webhook="/webhook") as transport:
            return await judge(transport, cases, conditions)

    return run_virtually(run())
