"""Run cases against a server: side by side where that is fair, and to an end."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llmws_tutorial.checks.case import (
    Case,
    Company,
    Need,
    Profile,
    Ruling,
    failed,
    not_seen,
)
from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.exchange import Ended, Exchange, Missed, Refused
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.moves import Greeted
from llmws_tutorial.checks.probe import PATIENCE_S, Conditions, observe
from llmws_tutorial.checks.sockets import Sockets
from llmws_tutorial.checks.transport import Transport
from llmws_tutorial.errors import CannotConnect, SetupError
from llmws_tutorial.simulator.endings import ABNORMAL

AT_ONCE: Final = 16
"""How many cases run side by side."""
LIMIT_S: Final = 60.0
"""How long one case may take with the usual patience, whatever the server does (seconds)."""
BACK_S: Final = 3.0
"""How long a server that went down may take to be there again (seconds)."""
MUTE_AFTER: Final = 8
"""After how many waits in vain a server counts as mute, if there was hardly another."""
MUTE_S: Final = 0.2
"""How long to wait for a mute server (seconds)."""
KEEPS_OTHERS: Final = "calls/5"
"""The case that a fall belongs to when nobody can say which of several cases caused it."""
_BETWEEN_S: Final = 0.1
_GREETED: Final = str(Greeted())

Progress = Callable[[Finding], None]
"""Told about each finding as soon as it is there; it must not raise."""


async def run_checks(
    url: str,
    *prefixes: str,
    profile: Profile = Profile.CURRENT,
    conditions: Conditions | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Run the checks whose ids start with one of the prefixes (all without any).

    Args:
        url: where the server's calls live, without a call id.
        prefixes: for example ``begin`` or ``turns/1``.
        profile: the form of the protocol that the server is held to.
        conditions: what the cases run with; None takes the defaults.
        progress: told about each finding as soon as it is there.

    Returns:
        One finding a check, in the order of the catalogue; a server that is not there fails each.

    Raises:
        CannotConnect: when the URL cannot be dialled at all.
        SetupError: when no check's id starts with one of the prefixes.
    """
    cases = select(*prefixes, profile=profile)
    return await judge(Sockets(url), cases, conditions, progress=progress)


async def judge(
    transport: Transport,
    cases: Sequence[Case],
    conditions: Conditions | None = None,
    *,
    progress: Progress | None = None,
) -> list[Finding]:
    """Run cases over any transport; one finding a case, in the order of the cases.

    Those that can take a server down come last, one at a time, and so does every other whose line
    was cut while it ran beside others: should one take the server down, it is the one that fails,
    and what could not be tried any more is "not seen".
    """
    run = _Run(transport, conditions or Conditions(), progress)
    await run.all(cases)
    return [run.findings[case.id] for case in cases]


def lacks(case: Case, transport: Transport, conditions: Conditions) -> list[Need]:
    """What a case needs and would not have."""
    has = {
        Need.LLM: conditions.llm is not None,
        Need.WEBHOOK: transport.has_webhook and bool(conditions.webhook_key),
    }
    return [need for need in Need if need in case.needs and not has[need]]


async def absence(
    transport: Transport,
    within_s: float = 0.0,
    *,
    on_absence: Callable[[str], None] | None = None,
) -> str | None:
    """Say why no socket opens, not even within some time; None when one does.

    Args:
        transport: the way to the server.
        within_s: for how long to try (seconds).
        on_absence: told why after each try that was in vain; may raise to end them.
    """
    loop = asyncio.get_running_loop()
    by_s = loop.time() + within_s
    while True:
        try:
            socket = await transport.open(f"check_is_there_{secrets.token_hex(4)}")
        except CannotConnect as error:
            why = str(error)
        else:
            await socket.hang_up()
            return None
        if on_absence is not None:
            on_absence(why)
        if loop.time() >= by_s:
            return why
        await asyncio.sleep(_BETWEEN_S)


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One case that was run: what its judge says, and what was seen."""

    case: Case
    ruling: Ruling
    exchange: Exchange | None
    took_s: float

    @property
    def was_cut(self) -> bool:
        """Whether a line dropped or did not open: what another case did may be the cause."""
        if self.exchange is None:
            return False
        ends = self.exchange.of(Ended, None)
        if any(end.code == ABNORMAL and not end.reason for end in ends):
            return True
        return bool(self.exchange.of(Refused, None)) and not self.case.wants_refusal


@dataclass
class _Waits:
    """How many cases could have waited in vain, and how many did."""

    tried: int = 0
    in_vain: int = 0

    def count(self, is_in_vain: bool) -> None:
        self.tried += 1
        self.in_vain += is_in_vain

    @property
    def are_hopeless(self) -> bool:
        return self.in_vain >= max(MUTE_AFTER, 0.75 * self.tried)


class _Run:
    def __init__(
        self, transport: Transport, conditions: Conditions, progress: Progress | None
    ) -> None:
        self.findings: dict[str, Finding] = {}
        self._transport = transport
        self._conditions = conditions
        self._progress = progress
        self._answers = _Waits()
        self._greetings = _Waits()

    async def all(self, cases: Sequence[Case]) -> None:
        if (is_down := await absence(self._transport)) is not None:
            for case in cases:
                self._found(case, failed("an open socket", is_down))
            return
        able = [case for case in cases if not self._lacks(case)]
        cut: list[_Trial] = []
        for company in (Company.ANY, Company.TIMED):
            cut += await self._side_by_side([case for case in able if case.company is company])
        risky = [case for case in able if case.company is Company.NONE]
        is_down = await absence(self._transport, BACK_S) if cut else None
        if is_down is not None:
            is_down = await self._still_down(is_down)
        if is_down is None:
            await self._one_by_one([*(trial.case for trial in cut), *risky])
        else:
            self._went_down_among(cut, risky, is_down)

    def _lacks(self, case: Case) -> bool:
        """Whether a case lacks what it needs; then it is not seen."""
        lacking = lacks(case, self._transport, self._conditions)
        for need in lacking[:1]:
            self._found(case, not_seen(need.value))
        return bool(lacking)

    async def _side_by_side(self, cases: Iterable[Case]) -> list[_Trial]:
        """Run cases at once; whose line was cut is given back, to be tried again alone."""
        places = asyncio.Semaphore(AT_ONCE)
        cut: list[_Trial] = []

        async def take_place(case: Case) -> None:
            async with places:
                trial = await self._try(case)
            if trial.was_cut:
                cut.append(trial)
            else:
                self._took(trial)

        await asyncio.gather(*map(take_place, cases))
        return cut

    async def _one_by_one(self, cases: Sequence[Case]) -> None:
        for number, case in enumerate(cases):
            trial = await self._try(case)
            is_down = await absence(self._transport, BACK_S)
            if is_down is None:
                self._took(trial)
                continue
            down = failed("a server that is still there", f"none: {is_down}")
            self._took(replace(trial, ruling=down))
            if (why := await self._still_down(is_down)) is not None:
                for left in cases[number + 1 :]:
                    wanted = f"a server that is there again after {case.id}: {why}"
                    self._found(left, not_seen(wanted))
                return

    async def _still_down(self, why: str) -> str | None:
        """Start a server that is down again, if somebody can; why it is down now, or None."""
        if self._conditions.restart is None:
            return why
        try:
            await self._conditions.restart()
        except SetupError as error:  # what was found until now must not be lost
            return str(error)
        return await absence(self._transport, BACK_S)

    def _went_down_among(self, cut: Sequence[_Trial], risky: Sequence[Case], is_down: str) -> None:
        """Rule on a fall while cases ran side by side: one of those that had a line did it."""
        suspects = [trial for trial in cut if trial.exchange and trial.exchange.was_open]
        among = ", ".join(trial.case.id for trial in suspects)
        cases = [*(trial.case for trial in [*suspects, *cut]), *risky]
        left = {case.id: case for case in cases}
        shared = len(suspects) > 1 and KEEPS_OTHERS in left
        blamed = KEEPS_OTHERS if shared else cases[0].id
        for case in left.values():
            if case.id == blamed:
                got = f"none since {among or 'the checks began'}: {is_down}"
                self._found(case, failed("a server that is still there", got))
            else:
                ran = f"it went down while these ran side by side: {among}; try each alone"
                self._found(case, not_seen(f"a server that stays there, {ran}"))

    async def _try(self, case: Case) -> _Trial:
        began_s = time.monotonic()
        exchange: Exchange | None = None
        limit_s = LIMIT_S * max(1, self._conditions.patience_s / PATIENCE_S)
        try:
            async with asyncio.timeout(limit_s):
                exchange = await observe(case, self._transport, self._patient())
            ruling = _rule(case, exchange)
            self._count_waits(case, exchange)
        except TimeoutError:
            ruling = failed(f"an end within {limit_s:g} s", "none")
        took_s = time.monotonic() - began_s
        return _Trial(case=case, ruling=ruling, exchange=exchange, took_s=took_s)

    def _count_waits(self, case: Case, exchange: Exchange) -> None:
        missed = [missed.what for missed in exchange.of(Missed, None)]
        self._answers.count(any(what != _GREETED for what in missed))
        if any(isinstance(move, Greeted) for move in case.moves):
            self._greetings.count(_GREETED in missed)

    def _patient(self) -> Conditions:
        """The conditions of the next case: nobody waits long for a server that is mute."""
        usual_s = self._conditions.patience_s
        return replace(
            self._conditions,
            patience_s=min(usual_s, MUTE_S) if self._answers.are_hopeless else usual_s,
            greeting_s=min(usual_s, MUTE_S) if self._greetings.are_hopeless else None,
        )

    def _took(self, trial: _Trial) -> None:
        self._found(trial.case, trial.ruling, exchange=trial.exchange, took_s=trial.took_s)

    def _found(
        self, case: Case, ruling: Ruling, *, exchange: Exchange | None = None, took_s: float = 0.0
    ) -> None:
        finding = Finding(case=case, ruling=ruling, exchange=exchange, took_s=took_s)
        self.findings[case.id] = finding
        if self._progress is not None:
            self._progress(finding)


def _rule(case: Case, exchange: Exchange) -> Ruling:
    """Let the judge rule, unless a socket that every server opens was refused."""
    for refusal in () if case.wants_refusal else exchange.of(Refused, None):
        return failed("an open socket", refusal.why, refusal)
    if Need.LLM in case.needs and not exchange.upstream:
        return not_seen("a server that asks this model: is OPENAI_BASE_URL set where it runs?")
    try:
        return case.judge(exchange)
    except Exception as error:  # one defect of ours must not cost the other findings
        return not_seen(f"a check without a defect; please report that it raised {error!r:.200}")
