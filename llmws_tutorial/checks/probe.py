"""Run one case: make its moves one after the other, and never wait without end."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from llmws_tutorial.checks import moves
from llmws_tutorial.checks.case import Case
from llmws_tutorial.checks.exchange import Exchange, Missed, Posted
from llmws_tutorial.checks.line import Line
from llmws_tutorial.checks.transport import Transport
from llmws_tutorial.messages import SIGNATURE_HEADER, sign
from llmws_tutorial.simulator.scripted_llm import Asked, Script, ScriptedLlm

PATIENCE_S: Final = 5.0
"""How long to wait for something that must come, unless it is said otherwise (seconds)."""
_TOLD_S: Final = 0.02
_MARKS: Final = itertools.count(100_000 + secrets.randbelow(100_000))
"""Numbers that a caller says, so that the model knows whose script it is: each only once."""
_TEN_MINUTES_MS: Final = 600_000


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the cases run with.

    Attributes:
        patience_s: how long to wait for something that must come (seconds).
        greeting_s: how long to wait for the first message; None: as long as for the others.
        llm: the model behind the server; None: cases that need one are not seen.
        webhook_key: the API key that signs webhooks; empty: there is no webhook to post to.
        restart: brings a server back that has gone down; None: nobody can.
    """

    patience_s: float = PATIENCE_S
    greeting_s: float | None = None
    llm: ScriptedLlm | None = None
    webhook_key: str = ""
    restart: Callable[[], Awaitable[None]] | None = None


async def observe(case: Case, transport: Transport, conditions: Conditions) -> Exchange:
    """Make the moves of a case; whatever the server does is noted, never raised."""
    exchange = Exchange(asyncio.get_running_loop().time)
    exchange.has_secret = transport.has_secret
    probe = _Probe(case, transport, conditions, exchange=exchange)
    try:
        await probe.run()
    finally:
        await probe.close()
    return exchange


class _Probe:
    def __init__(
        self, case: Case, transport: Transport, conditions: Conditions, *, exchange: Exchange
    ) -> None:
        self._case = case
        self._transport = transport
        self._conditions = conditions
        self._exchange = exchange
        self._lines: dict[str, Line] = {}
        self._news = asyncio.Event()
        self._patience_s = conditions.patience_s
        self._model = conditions.llm or ScriptedLlm()
        self._mark = f" My number is {next(_MARKS)}."
        self._scripts = _marked(case.scripts, self._mark)

    async def run(self) -> None:
        for script in self._scripts:
            self._model.add(script)
        for move in self._case.moves:
            await self._DO[type(move)](self, move)
        self._exchange.upstream = self._upstream()

    async def close(self) -> None:
        for line in self._lines.values():
            await line.close()

    def _line(self, name: str) -> Line:
        if name not in self._lines:
            call_id = f"check_{self._case.id.replace('/', '_')}_{secrets.token_hex(4)}_{name}"
            self._lines[name] = Line(name, call_id, self._exchange, tell=self._news.set)
        return self._lines[name]

    async def _until(
        self,
        condition: Callable[[], bool],
        line: str,
        what: object,
        *,
        within_s: float | None = None,
    ) -> None:
        """Wait until something is so; once in vain, the next waits of the case are none."""
        try:
            async with asyncio.timeout(self._patience_s and (within_s or self._patience_s)):
                while not condition():
                    if not self._line(line).is_open:
                        break
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self._patience_s = 0.0
        if not condition():
            self._exchange.note(Missed, line=line, what=str(what))

    async def _open(self, move: moves.Open) -> None:
        headers = {} if move.origin is None else {"Origin": move.origin}
        await self._line(move.line).open(self._transport, headers=headers, is_wrong=move.is_wrong)

    async def _greeted(self, move: moves.Greeted) -> None:
        patience_s = self._patience_s
        await self._until(
            lambda: self._is_complete(0, move.line),
            move.line,
            move,
            within_s=self._conditions.greeting_s,
        )
        self._patience_s = patience_s  # a mute agent may answer nevertheless

    async def _answered(self, move: moves.Answered) -> None:
        await self._until(
            lambda: self._is_complete(move.response_id, move.line),
            move.line,
            move,
            within_s=move.within_s and move.within_s * self._conditions.patience_s / PATIENCE_S,
        )

    def _is_complete(self, response_id: int, line: str) -> bool:
        turn = self._exchange.turn(response_id, line)
        return turn is not None and turn.complete_at_s is not None

    async def _update(self, move: moves.Update) -> None:
        await self._within_reason(move.line, self._line(move.line).update(move.said))

    async def _ask(self, move: moves.Ask) -> None:
        if self._case.scripts and self._conditions.llm and move.said:
            move = replace(move, said=f"{move.said}{self._mark}")
        await self._within_reason(move.line, self._line(move.line).ask(move))

    async def _send(self, move: moves.Send) -> None:
        await self._within_reason(move.line, self._line(move.line).send(move.data, move.pieces))

    async def _within_reason(self, line: str, sending: Coroutine[Any, Any, None]) -> None:
        """Send; a server that never reads holds nobody up for long."""
        try:
            async with asyncio.timeout(self._conditions.patience_s):
                await sending
        except TimeoutError:
            self._exchange.note(Missed, line=line, what="the server does not read")
            self._line(line).drop()

    async def _watch(self, move: moves.Watch) -> None:
        await asyncio.sleep(move.seconds)

    async def _hang_up(self, move: moves.HangUp) -> None:
        await self._line(move.line).hang_up()

    async def _drop(self, move: moves.Drop) -> None:
        self._line(move.line).drop(silently=move.silently)

    async def _model_asked(self, move: moves.ModelAsked) -> None:
        await self._until_model(lambda: len(self._upstream()) >= move.times, self._patience_s, move)

    async def _model_left(self, move: moves.ModelLeft) -> None:
        def is_idle() -> bool:
            return all(asked.outcome != "running" for asked in self._upstream())

        await self._until_model(is_idle, move.within_s, move)

    async def _until_model(
        self, condition: Callable[[], bool], within_s: float, what: object
    ) -> None:
        loop = asyncio.get_running_loop()
        by_s = loop.time() + within_s
        while not condition() and loop.time() < by_s:  # noqa: ASYNC110 - a model tells nobody
            await asyncio.sleep(_TOLD_S)
        if not condition():
            self._exchange.note(Missed, what=str(what))

    def _upstream(self) -> list[Asked]:
        """What the model was asked in this case so far."""
        asked = self._model.asked
        return [one for one in asked if any(one.script is script for script in self._scripts)]

    async def _post(self, move: moves.Post) -> None:
        now_ms = time.time_ns() // 1_000_000
        key = self._conditions.webhook_key + ("x" if move.signed == "wrong key" else "")
        at_ms = now_ms - (_TEN_MINUTES_MS if move.signed == "ten minutes ago" else 0)
        is_signed = move.signed != "never"
        headers = {SIGNATURE_HEADER: sign(move.body, key, at_ms)} if is_signed else {}
        attempt = await self._transport.post(move.body, headers)
        self._exchange.note(
            Posted,
            status=attempt.status,
            problem=attempt.problem or "",
            took_s=attempt.took_ms / 1000,
        )

    _DO: Final[dict[type[moves.Move], Callable[[Any, Any], Awaitable[None]]]] = {
        moves.Open: _open,
        moves.Greeted: _greeted,
        moves.Update: _update,
        moves.Ask: _ask,
        moves.Send: _send,
        moves.Answered: _answered,
        moves.Watch: _watch,
        moves.HangUp: _hang_up,
        moves.Drop: _drop,
        moves.ModelAsked: _model_asked,
        moves.ModelLeft: _model_left,
        moves.Post: _post,
    }
    """How each move is made."""


def _marked(scripts: Sequence[Script], mark: str) -> list[Script]:
    """The scripts as the model gets them: known by a mark in the caller's words, each used once.

    The last one answers whatever else is asked.
    """
    known = [replace(script, when=f"{script.when}{mark}") for script in scripts]
    return [*(replace(script, times=1) for script in known[:-1]), *known[-1:]]
