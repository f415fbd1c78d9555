"""Who is told about a call as it happens: a recording, and webhooks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from llmws_tutorial.simulator.record import CallRecord
from llmws_tutorial.simulator.recording import Recorder
from llmws_tutorial.simulator.webhooks import Webhooks


@contextlib.asynccontextmanager
async def witnessed(
    record: CallRecord, recorder: Recorder | None, webhooks: Webhooks | None
) -> AsyncIterator[None]:
    """Record a call, and tell about it: started, ended, analyzed.

    Leaving the block waits until the receiver has taken the events, or they are given up.

    Args:
        record: the call that is placed in the block.
        recorder: where every frame goes; None: nowhere.
        webhooks: who is told; None: nobody.
    """
    if recorder is not None:
        record.keeper = recorder.keeper(record)
        for frame in record.frames:  # a socket that was open before has frames already
            record.keeper(frame)
    telling = []
    if webhooks is not None:
        telling.append(_tell(webhooks, "call_started", record.as_call()))
    try:
        yield
    finally:
        if recorder is not None:
            recorder.ended(record)
        if webhooks is not None:
            call = record.as_call()
            telling.append(_tell(webhooks, "call_ended", call))
            telling.append(
                _tell(webhooks, "call_analyzed", {**call, "call_analysis": _analysis(call)})
            )
        await asyncio.gather(*telling)


def _tell(webhooks: Webhooks, event: str, call: dict[str, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(webhooks.send(event, call))


def _analysis(call: dict[str, Any]) -> dict[str, Any]:
    """What can be said without a model: whether it ended as a call should."""
    return {"call_successful": not str(call["disconnection_reason"]).startswith("error_")}
