"""Run checks against a server's URL side by side, each on its own connection."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from llmws_tutorial.checks.cases import CASES, Answers, Case, is_complete, wants_answer
from llmws_tutorial.errors import SetupError
from llmws_tutorial.simulator import call_url

PATIENCE_S: Final = 3.0
"""How long to wait for something that must come."""
MOMENT_S: Final = 0.25
"""How long to watch that something does not come."""
MANY: Final = 1000
"""More answers than any server gives: receive until the time is up."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        case: the check.
        wrong: "expected ..., got ..."; None when the server did what it must.
    """

    case: Case
    wrong: str | None

    @property
    def passed(self) -> bool:
        """Whether the server did what it must."""
        return self.wrong is None

    def __str__(self) -> str:
        if self.passed:
            return f"{self.case.id} ok"
        required = self.case.requirement.rstrip(".")
        return f"{self.case.id} failed: {self.wrong}; required: {required}; fix: {self.case.fix}"


async def run_checks(url: str, *prefixes: str, patience_s: float = PATIENCE_S) -> list[Finding]:
    """Run the checks whose ids start with one of the prefixes (all without any).

    Args:
        url: where the server's calls live, without a call id.
        prefixes: for example ``begin`` or ``turns/1``.
        patience_s: how long to wait for something that must come, in seconds.

    Returns:
        One finding a check, in the order of the lessons; a server that is not there fails each.

    Raises:
        CannotConnect: when the URL cannot be dialled at all.
        SetupError: when no check's id starts with one of the prefixes.
    """
    for prefix in prefixes:
        if not any(case.id.startswith(prefix) for case in CASES):
            known = ", ".join(case.id for case in CASES)
            raise SetupError(f"no check starts with {prefix!r}, expected one of {known}")
    cases = [case for case in CASES if _selected(case, prefixes)]
    wrongs = await asyncio.gather(*(_run(case, url, patience_s) for case in cases))
    return [Finding(case, wrong) for case, wrong in zip(cases, wrongs, strict=True)]


def _selected(case: Case, prefixes: Iterable[str]) -> bool:
    chosen = tuple(prefixes)
    return not chosen or case.id.startswith(chosen)


async def _run(case: Case, url: str, patience_s: float) -> str | None:
    target = call_url(url, f"check_{case.id.replace('/', '_')}")
    try:
        socket = await connect(
            target,
            open_timeout=patience_s,
            close_timeout=patience_s,
            compression=None,
            proxy=None,
        )
    except (OSError, WebSocketException) as error:
        return f"expected an open socket, got {error}"
    async with socket:
        return case.judge(await _act(case, socket, patience_s))


async def _act(case: Case, socket: ClientConnection, patience_s: float) -> Answers:
    greeting = await _receive(socket, answers=1, timeout_s=patience_s) if case.greeted else []
    frames = await _send(case, socket, patience_s)
    more_s = patience_s if case.closes else MOMENT_S
    frames += await _receive(socket, answers=MANY, timeout_s=more_s)
    return Answers(
        greeting=tuple(greeting),
        frames=tuple(frames),
        close_code=socket.close_code,
        close_reason=socket.close_reason or "",
    )


async def _send(case: Case, socket: ClientConnection, patience_s: float) -> list[str | bytes]:
    """Send what the case sends; the result is what came back while it did."""
    frames: list[str | bytes] = []
    with contextlib.suppress(ConnectionClosed):
        for frame in case.sends:
            await socket.send(frame)
            if case.answered and wants_answer(frame):
                answer = await _receive(socket, answers=1, timeout_s=patience_s)
                frames += answer
                patience_s = patience_s if any(map(is_complete, answer)) else 0  # it failed already
    return frames


async def _receive(
    socket: ClientConnection, *, answers: int, timeout_s: float
) -> list[str | bytes]:
    """Receive until so many answers are whole, the time is up, or the server closes."""
    frames: list[str | bytes] = []
    with contextlib.suppress(TimeoutError, ConnectionClosed):
        async with asyncio.timeout(timeout_s):
            while sum(map(is_complete, frames)) < answers:
                frames.append(await socket.recv())
    return frames
