"""Your side of one call, without a socket, a clock or a task.

A call is in one of six states, and what happens moves it on as the table says::

    state      what happens            next state
    ---------  ----------------------  ----------
    NEW        the call opens          SPEAKING
    NEW        it opens, facts awaited WAITING
    NEW        it opens again          LISTENING
    WAITING    the facts come          SPEAKING
    WAITING    a request comes         SPEAKING
    WAITING    the server stops        OVER
    SPEAKING   a request comes         SPEAKING    (the older turn is dead)
    SPEAKING   the turn is over        LISTENING
    SPEAKING   the server stops        LEAVING
    LISTENING  a request comes         SPEAKING
    LISTENING  the server stops        OVER
    LEAVING    a request comes         OVER        (nobody hears the rest)
    LEAVING    the turn is over        OVER
    any        the call ends           OVER

SPEAKING means that one turn is open: the greeting (id 0) or the answer to the latest request. It
takes pieces until it is over, and it is over exactly once. LEAVING is the same for the last time.
The source of each rule is docs/protocol.md, sections 2 to 6.
"""

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from llmws_tutorial.errors import ForeignFrame, PlatformProtocolError
from llmws_tutorial.messages import (
    BEGIN_RESPONSE_ID,
    AgentInterrupt,
    CallDetails,
    CallFacts,
    Config,
    ConfigFields,
    Ping,
    Pong,
    ReminderRequired,
    Request,
    Response,
    ResponseRequired,
    UnknownRequest,
    read_object,
    read_request,
    write,
)
from llmws_tutorial.server.effects import STOPPED, Cancel, Close, Effect, Log, Send, Start
from llmws_tutorial.server.turn import Action, HangUp, Note, Piece, Press, Transfer, Turn


class State(Enum):
    """Where a call stands."""

    NEW = "not opened yet"
    WAITING = "waiting for the facts of the call before the greeting"
    SPEAKING = "a turn of the agent is open"
    LISTENING = "the caller's turn"
    LEAVING = "the last turn of the agent is open"
    OVER = "over"


class Event(Enum):
    """What moves a call on."""

    OPEN = "the call opens"
    HOLD = "it opens, facts awaited"
    REOPEN = "it opens again"
    FACTS = "the facts come"
    REQUEST = "a request comes"
    DONE = "the turn is over"
    STOP = "the server stops"
    END = "the call ends"


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.NEW, Event.OPEN): State.SPEAKING,
    (State.NEW, Event.HOLD): State.WAITING,
    (State.NEW, Event.REOPEN): State.LISTENING,
    (State.WAITING, Event.FACTS): State.SPEAKING,
    (State.WAITING, Event.REQUEST): State.SPEAKING,
    (State.WAITING, Event.STOP): State.OVER,
    (State.SPEAKING, Event.REQUEST): State.SPEAKING,
    (State.SPEAKING, Event.DONE): State.LISTENING,
    (State.SPEAKING, Event.STOP): State.LEAVING,
    (State.LISTENING, Event.REQUEST): State.SPEAKING,
    (State.LISTENING, Event.STOP): State.OVER,
    (State.LEAVING, Event.REQUEST): State.OVER,
    (State.LEAVING, Event.DONE): State.OVER,
    **{(state, Event.END): State.OVER for state in State},
}
"""What follows what; anything else cannot happen."""

FOREIGN_CODE: Final = 1002
"""The code to close with when the peer cannot be the platform."""
BINARY_REASON: Final = "Cannot find corresponding Retell LLM."
PARSE_REASON: Final = "Cannot parse incoming message."
EXCUSE: Final = "I am sorry, something went wrong. Could you say that again?"
"""What the agent says when its responder fails."""
REMEMBERED: Final = 64
"""How many ids are known when they come again."""


class Session:
    """One call, as your server keeps it.

    Attributes:
        call_id: the last segment of the URL that was dialled.
        state: where the call stands.
        facts: what the platform told about the call.
        details: the same as it came.
        response_id: the id of the turn that is or was open last; 0 is the greeting.
        is_greeted: whether the greeting has gone out whole, or the caller has spoken already.
    """

    def __init__(
        self,
        call_id: str,
        *,
        config: ConfigFields | None = None,
        awaits_facts: bool = False,
        excuse: str = EXCUSE,
    ) -> None:
        """Prepare a call; nothing is sent before `open`.

        Args:
            call_id: the last segment of the URL that was dialled.
            config: what to ask the platform for; None asks for nothing, as in the first guide.
            awaits_facts: whether the greeting is held back until the facts came.
            excuse: what to say when a responder fails.
        """
        self.state = State.NEW
        self.facts = CallFacts()
        self.details: Mapping[str, Any] = {}
        self.response_id = BEGIN_RESPONSE_ID
        self.is_greeted = False
        self.call_id = call_id
        self._config = config
        self._awaits_facts = awaits_facts and config is not None and config.call_details
        self._excuse = excuse
        self._action: Action | None = None
        self._said = ""
        self._farewell = STOPPED
        self._asked: deque[int] = deque(maxlen=REMEMBERED)

    def open(self, *, again: bool = False) -> list[Effect]:
        """Begin: configuration first, then the greeting, unless the call was here before."""
        effects: list[Effect] = []
        if self._config is not None:
            effects.append(Send(write(Config(config=self._config))))
        self.is_greeted = again
        if again:
            self._move(Event.REOPEN)
        elif self._awaits_facts:
            self._move(Event.HOLD)
        else:
            effects.append(self._begin(Event.OPEN))
        return effects

    def receive(self, frame: str | bytes | None) -> list[Effect]:
        """Take one frame of the platform; a binary one has no text."""
        if self.state is State.OVER:
            return []
        if not isinstance(frame, str):
            return self._refuse("a binary frame", BINARY_REASON)
        try:
            message = read_request(frame)
        except ForeignFrame as error:
            return self._refuse(str(error), PARSE_REASON)
        except PlatformProtocolError as error:
            return [Log("ignored", str(error))]
        return self._take(message, frame)

    def stop_waiting(self) -> list[Effect]:
        """Greet without the facts, if the greeting is still held back for them."""
        return [self._begin(Event.FACTS)] if self.state is State.WAITING else []

    def say(self, response_id: int, piece: Piece) -> list[Effect]:
        """Take a piece of an answer; that of a dead turn is refused."""
        if not self.is_open(response_id):
            return []
        if isinstance(piece, str):
            return [Send(self._response(piece))] if piece else []
        if isinstance(piece, HangUp | Transfer | Press):
            return self._choose(piece)
        return [Send(write(piece))]

    def note(self, note: Note) -> list[Effect]:
        """Send a message that belongs to no turn; an interrupt ends the turn that is open."""
        is_interrupt = isinstance(note, AgentInterrupt)
        if self.state in (State.NEW, State.OVER) or (is_interrupt and self.state is State.LEAVING):
            return []
        ended: list[Effect] = []
        if is_interrupt and self.is_open(self.response_id):
            self._action = None
            ended = [*self.finish(self.response_id), Cancel()]
        return [*ended, Send(write(note))]

    def finish(self, response_id: int, content: str = "") -> list[Effect]:
        """Close a turn with its last words; a dead turn is closed already."""
        if not self.is_open(response_id):
            return []
        frame = self._response(content, is_last=True)
        self.is_greeted = True
        self._move(Event.DONE)
        return [Send(frame), *self._leave()]

    def fail(self, response_id: int) -> list[Effect]:
        """Close a turn whose responder failed: with an excuse, and without its action."""
        if not self.is_open(response_id):
            return []
        self._action = None
        joint = " " if self._said and not self._said[-1].isspace() else ""
        return self.finish(response_id, joint + self._excuse)

    def stop(self, close: Close = STOPPED) -> list[Effect]:
        """Close the call, because the server stops, once an open turn is over."""
        if (self.state, Event.STOP) not in TRANSITIONS:
            return []
        self._move(Event.STOP)
        self._farewell = close
        return self._leave()

    def end(self) -> None:
        """Take note that the socket is closed."""
        self._move(Event.END)

    def is_open(self, response_id: int) -> bool:
        """Whether this turn still takes pieces."""
        return self.state in (State.SPEAKING, State.LEAVING) and response_id == self.response_id

    def _take(self, message: Request | UnknownRequest, frame: str) -> list[Effect]:
        match message:
            case ResponseRequired() | ReminderRequired():
                return self._ask(message, frame)
            case Ping():
                return [Send(write(Pong(timestamp=message.timestamp)))]
            case CallDetails():
                self.facts, self.details = message.call, read_object(frame)["call"]
                return self.stop_waiting()
            case UnknownRequest():
                return [
                    Log("ignored", f"unknown interaction_type {message.interaction_type[:64]!r}")
                ]
            case _:  # an update wants nothing, and its transcript is not even read
                return []

    def _begin(self, event: Event) -> Start:
        self._move(event)
        return Start(Turn(BEGIN_RESPONSE_ID, self.call_id, self.facts, self.details))

    def _ask(self, message: ResponseRequired | ReminderRequired, frame: str) -> list[Effect]:
        response_id = message.response_id
        if response_id <= BEGIN_RESPONSE_ID:
            return [Log("ignored", f"response_id {response_id}, expected 1 or more")]
        if response_id in self._asked:
            return [Log("ignored", f"response_id {response_id} was asked before")]
        self._asked.append(response_id)
        self.is_greeted = True
        self._move(Event.REQUEST)
        if self.state is State.OVER:
            return self._leave()
        self.response_id, self._action, self._said = response_id, None, ""
        turn = Turn(response_id, self.call_id, self.facts, self.details, message, frame)
        return [Start(turn)]

    def _leave(self) -> list[Effect]:
        return [self._farewell] if self.state is State.OVER else []

    def _response(self, content: str, *, is_last: bool = False) -> str:
        frame = write(
            Response(
                response_id=self.response_id,
                content=content,
                content_complete=is_last,
                **_fields(self._action),
            )
        )
        self._said = content or self._said
        return frame

    def _choose(self, action: Action) -> list[Effect]:
        older, self._action = self._action, action
        if older is None:
            return []
        self._action, dropped = sorted((older, action), key=_rank)
        names = type(dropped).__name__, type(self._action).__name__
        return [Log("dropped", "{} beside {}: one action a turn".format(*names))]

    def _refuse(self, problem: str, reason: str) -> list[Effect]:
        self._move(Event.END)
        return [Log("foreign", f"closed {FOREIGN_CODE}: {problem}"), Close(FOREIGN_CODE, reason)]

    def _move(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]


def _fields(action: Action | None) -> dict[str, Any]:
    """What a response says of its action; the caller cannot talk over one."""
    match action:
        case None:
            return {}
        case HangUp():
            fields: dict[str, Any] = {"end_call": True}
        case Transfer(number, shows_caller):
            fields = {"transfer_number": number, "show_transferee_as_caller": shows_caller}
        case _:
            fields = {"digit_to_press": action.digits}
    return {**fields, "no_interruption_allowed": True}


def _rank(action: Action) -> int:
    """The platform runs one action a turn, the first of these."""
    return (HangUp, Transfer, Press).index(type(action))
