"""Tell a receiver about calls as the platform does: signed, and again if refused.

The way of an event: its body is written once, then posted up to four times, each time with a
signature of that moment. An answer 2xx takes it; anything else is one more attempt, and in the
end a `Delivery` that says in words what went wrong.

Source: docs/protocol.md, section 9.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from llmws_tutorial.messages.signature import SIGNATURE_HEADER, require_key, sign
from llmws_tutorial.simulator.posting import Attempt, Target

ANSWER_S: Final = 10.0
"""How long one attempt may take until its answer is there, as on the platform."""
PAUSES_S: Final = (1.0, 2.0, 4.0)
"""How long to wait before each of the three retries: the kit's choice, nobody documents it."""


@dataclass(frozen=True, kw_only=True)
class DeliveryLimits:
    """How patient a delivery is.

    Attributes:
        answer_s: how long one attempt may take until its answer is there (seconds).
        pauses_s: how long to wait before each retry (seconds); so many are made.
    """

    answer_s: float = ANSWER_S
    pauses_s: tuple[float, ...] = PAUSES_S


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event that was taken, or given up.

    Attributes:
        event: the name of the event.
        attempts: each POST in order; the last one decided.
    """

    event: str
    attempts: tuple[Attempt, ...]

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took the event."""
        return self.attempts[-1].problem is None

    def __str__(self) -> str:
        """What came of the event and of each attempt, on one line."""
        outcome = "taken" if self.is_taken else "given up"
        tried = "; ".join(str(attempt) for attempt in self.attempts)
        return f"{self.event}: {outcome} at attempt {len(self.attempts)}: {tried}"


class Webhooks:
    """One receiver of webhooks, and all that it was told.

    Attributes:
        deliveries: the events that were taken or given up, in the order in which that was clear.
    """

    def __init__(self, url: str, *, api_key: str, limits: DeliveryLimits | None = None) -> None:
        """Take the receiver's URL and the key; nothing is sent yet.

        Raises:
            SetupError: when the URL is no http(s) URL, or the API key is blank.
        """
        require_key(api_key)
        self.deliveries: list[Delivery] = []
        self._target = Target.of(url)
        self._api_key = api_key
        self._limits = limits or DeliveryLimits()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, event: str, call: dict[str, Any]) -> Delivery:
        """Tell an event, once the earlier ones of its call are taken or given up.

        A call has ``call_started``, ``call_ended`` and ``call_analyzed``, in this order. Whoever
        does not want to wait makes each a task: they come in the order in which they began.

        Args:
            event: the name of the event.
            call: the call as it is now; later changes are not sent.

        Raises:
            TypeError, ValueError: when the call cannot be written as JSON.
        """
        body = json.dumps({"event": event, "call": call}, separators=(",", ":"), allow_nan=False)
        turn = self._turns.setdefault(str(call.get("call_id")), asyncio.Lock())
        async with turn:
            delivery = Delivery(event=event, attempts=await self._try(body.encode()))
            self.deliveries.append(delivery)
        return delivery

    async def _try(self, body: bytes) -> tuple[Attempt, ...]:
        attempts = [await self._attempt(body)]
        for pause_s in self._limits.pauses_s:
            if attempts[-1].problem is None:
                break
            await asyncio.sleep(pause_s)
            attempts.append(await self._attempt(body))
        return tuple(attempts)

    async def _attempt(self, body: bytes) -> Attempt:
        signature = sign(body, self._api_key, time.time_ns() // 1_000_000)
        headers = {SIGNATURE_HEADER: signature}
        return await self._target.post(body, headers, timeout_s=self._limits.answer_s)


async def deliver(
    url: str,
    event: str,
    call: dict[str, Any],
    *,
    api_key: str,
    limits: DeliveryLimits | None = None,
) -> Delivery:
    """Tell a receiver one event, again and again until it is taken or given up.

    Args:
        url: where the receiver takes webhooks (http or https). A redirect is not followed.
        event: the name of the event.
        call: the call as it is now.
        api_key: the key that both sides know.
        limits: how patient to be; None takes the defaults.

    Returns:
        What came of it, whatever the receiver does.

    Raises:
        SetupError: when the URL is no http(s) URL, or the API key is blank.
        TypeError, ValueError: when the call cannot be written as JSON.
    """
    return await Webhooks(url, api_key=api_key, limits=limits).send(event, call)
