"""Judge a sample server in memory and in virtual time."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from llmws_tutorial.checks import Case, Conditions, Finding, in_memory, judge, select
from llmws_tutorial.checks.samples.right import SECRET, WEBHOOK_KEY, Json, Right
from llmws_tutorial.checks.samples.sample_call import SampleCall
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


def ruling(server: type[Right], case_id: str, *, has_model: bool = True) -> str:
    """What one case says about a sample server, with or without a model behind it."""
    [case] = select(case_id)
    return str(finding_about(server, case, has_model=has_model).ruling)


def finding_about(server: type[Right], case: Case, *, has_model: bool = True) -> Finding:
    """What one case finds, with or without a model behind the server."""

    async def run() -> Finding:
        model = ScriptedLlm(now_s=asyncio.get_running_loop().time)
        app = server(model.stream if has_model else None).app
        conditions = Conditions(llm=model if has_model else None)
        async with in_memory(app, path=f"/llm-websocket/{SECRET}/") as transport:
            [finding] = await judge(transport, [case], conditions)
        return finding

    return run_virtually(run())


def answering(*steps: dict[str, Any] | float) -> type[Right]:
    """A server that answers every request by these messages and pauses, one after the other."""

    class Answering(Right):
        async def answer(self, call: SampleCall, request: Json) -> None:
            for step in steps:
                if isinstance(step, dict):
                    is_response = step["response_type"] == "response"
                    own_id = {"response_id": request["response_id"]} if is_response else {}
                    await call.send(**own_id | step)
                else:
                    await asyncio.sleep(step)

    return Answering


def words(content: str, **fields: Any) -> dict[str, Any]:
    """A piece of an answer, which goes on unless it is said otherwise."""
    return {
        "response_type": "response",
        "content": content,
        "content_complete": False,
        **fields,
    }


END: Final = words("", content_complete=True)
"""The end of an answer."""
