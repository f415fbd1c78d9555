"""Be the caller in a terminal: type, hear, interrupt, be silent, hang up.

At a terminal the call goes at its own pace, and what is typed while the agent speaks talks over it.
From a pipe, or from lines given beforehand, each line waits for the agent's turn to be over.
"""

import asyncio
import contextlib
import io
import re
import sys
import threading
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final

from rich.console import Console
from rich.markup import escape

from llmws_tutorial.simulator import CallRecord, Line
from llmws_tutorial.simulator.printable import shortened
from llmws_tutorial.simulator.turn import Turn
from llmws_tutorial.terminal.screen import shown

ANSWER_S: Final = 10.0
"""How long to wait for the agent before the next line of a pipe."""
MOST_DROPPED: Final = 50
"""How many of the dropped frames are shown at the end."""
HELP: Final = (
    "type and press Enter to say it, also over the agent; Enter alone: silence, until a reminder; "
    "/press 1#: keys; /mumble: what nobody understands; Ctrl-D or /bye: hang up"
)
"""What a caller at a terminal can do."""
READER: Final = "llmws call reads"
"""The name of the thread that reads what is typed."""
_KEYS: Final = re.compile("[0-9*#]+")


def is_live(says: Sequence[str] | None) -> bool:
    """Whether somebody sits at a terminal and types."""
    return says is None and sys.stdin is not None and sys.stdin.isatty()


async def talk(line: Line, says: Sequence[str] | None, *, console: Console) -> None:
    """Hold a conversation until one side hangs up, then say how it went.

    Args:
        line: the call.
        says: what the caller says; None reads standard input.
        console: where it is shown.
    """
    texts = _typed() if says is None else _given(says, console)
    async with contextlib.aclosing(texts):
        await (_live(line, texts, console) if is_live(says) else _in_turns(line, texts, console))
    await line.hang_up()
    await line.until(lambda: not line.is_open)
    show_end(line.record, console)


def show_end(record: CallRecord, console: Console) -> None:
    """Say what was dropped and why, how the call ended, and how long the answers took."""
    dropped = record.dropped
    for frame in dropped[:MOST_DROPPED]:
        why, data = shortened(str(frame.dropped)), shortened(repr(frame.data))
        console.print(f"[red]dropped, {shown(why)}:[/] {shown(data)}")
    if len(dropped) > MOST_DROPPED:
        console.print(f"[red]dropped, and {len(dropped) - MOST_DROPPED} more[/]")
    console.print(f"call over: {record.disconnection_reason}{shown(_closing(record))}")
    for name, part in record.latency.items():
        if name in ("llm", "llm_websocket_network_rtt"):
            shares = ", ".join(f"p{share} {part.percentile(share):.0f} ms" for share in (50, 95))
            console.print(f"{name}: {shares} ({len(part.values)})")


def _closing(record: CallRecord) -> str:
    """Why the socket closed, where it did not close as it should."""
    if record.close_code in (None, 1000):
        return ""
    said = f": {record.close_reason}" if record.close_reason else ""
    return f" (the socket closed with {record.close_code}{said})"


async def _in_turns(line: Line, texts: AsyncGenerator[str, None], console: Console) -> None:
    """Let each line wait until the agent's turn is over."""
    heard = await line.listen(ANSWER_S)
    _show_agent(line, heard, console)
    while line.is_open and (text := await anext(texts, None)) is not None:
        await _do(line, text)
        heard = await line.listen(ANSWER_S)
        _show_agent(line, heard, console)


async def _live(line: Line, texts: AsyncGenerator[str, None], console: Console) -> None:
    """Let the call go on by itself, and say each line as soon as it was typed."""
    console.print(f"[dim]{escape(HELP)}[/]")
    showing = asyncio.create_task(_show_turns(line, console))
    over = asyncio.create_task(line.until(lambda: not line.is_open))
    try:
        while True:
            typed = asyncio.ensure_future(anext(texts, None))
            await asyncio.wait([typed, over], return_when=asyncio.FIRST_COMPLETED)
            if not typed.done():
                typed.cancel()
                break
            text = typed.result()
            if text is None:
                break
            await _do(line, text)
    finally:
        await line.hang_up()
        await asyncio.gather(showing, over)


async def _do(line: Line, text: str) -> None:
    """Do what a typed line means."""
    command, _, rest = text.strip().partition(" ")
    if command == "/bye":
        await line.hang_up()
    elif command == "/mumble":
        await line.mumble()
    elif command == "/press" and _KEYS.fullmatch(rest.strip()):
        await line.press(rest.strip())
    elif text.strip():
        await line.say(text)
    else:
        await line.stay_silent()


async def _show_turns(line: Line, console: Console) -> None:
    """Show each turn of the agent word by word, as it is heard, and what was cut off it."""
    turns = line.record.turns
    number = 0
    while number < len(turns) or line.is_open:
        await line.until(partial(_has_begun, line, number))
        if number < len(turns):
            await _show_turn(line, turns[number], console)
            number += 1


def _has_begun(line: Line, number: int) -> bool:
    return number < len(line.record.turns)


async def _show_turn(line: Line, turn: Turn, console: Console) -> None:
    so_far = 0
    while not _is_done(line, turn) or so_far < len(turn.heard):
        if len(turn.heard) > so_far:
            console.print("" if so_far else "agent: ", shown(turn.heard[so_far:]), end="", sep="")
            so_far = len(turn.heard)
        else:
            await line.until(partial(_has_news, line, turn, so_far))
    if so_far or line.is_open:
        console.print("" if so_far else "agent: (silent)", _remark(turn), sep="")


def _has_news(line: Line, turn: Turn, so_far: int) -> bool:
    return len(turn.heard) > so_far or _is_done(line, turn)


def _is_done(line: Line, turn: Turn) -> bool:
    """Whether nothing more will be heard of a turn."""
    is_latest = turn is line.record.turns[-1]
    return not line.is_open or turn.is_cut or turn.speech.is_over or not is_latest


def _remark(turn: Turn) -> str:
    """What was sent and not heard, and how long it took."""
    unheard = turn.sent[len(turn.heard) :].strip()
    took_ms = turn.first_sentence_ms
    cut = f" [red]| not heard: {shown(shortened(unheard))}[/]" if unheard else ""
    return cut + ("" if took_ms is None else f" [dim](first sentence {took_ms:.0f} ms)[/]")


def _show_agent(line: Line, heard: str, console: Console) -> None:
    if heard or line.is_open:
        console.print(f"agent: {shown(heard or '(silent)')}")


async def _given(says: Sequence[str], console: Console) -> AsyncGenerator[str, None]:
    for text in says:
        console.print(f"you:   {shown(text.strip() or '(silent)')}")
        yield text


async def _typed() -> AsyncGenerator[str, None]:
    """The lines of standard input, read by a thread that Ctrl-C need not wait for."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the call is over
            with contextlib.suppress(OSError, ValueError):  # the terminal is gone
                for line in sys.stdin or ():
                    loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    if isinstance(sys.stdin, io.TextIOWrapper):  # else what is no text would end the thread alone
        sys.stdin.reconfigure(errors="replace")

    threading.Thread(target=read, name=READER, daemon=True).start()
    while line := await lines.get():
        yield line.rstrip("\n")
