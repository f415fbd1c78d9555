"""The platform's side of one call, without a socket, a clock or a task.

A call is in one of four states, and what happens moves it on as the table says::

    state            what happens           next state
    ---------------  ---------------------  ---------------
    MUTE             the greeting is whole  LISTENING
    MUTE             the caller finishes    AWAITING
    LISTENING        the caller finishes    AWAITING
    LISTENING        the caller is silent   AWAITING
    AWAITING         the answer is whole    LISTENING
    AWAITING         the caller finishes    AWAITING    (the older request is dead)
    any but ENDED    somebody hangs up      ENDED

MUTE is the first state: the agent stays mute until a response with id 0 arrives. The source of
each rule is docs/protocol.md, sections 2, 5 and 6.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from llmws_tutorial.errors import ServerProtocolError
from llmws_tutorial.messages import (
    BEGIN_RESPONSE_ID,
    ReminderRequired,
    Response,
    ResponseRequired,
    ServerMessage,
    UpdateOnly,
    Utterance,
    pack,
    read_response,
)


class State(Enum):
    """Where a call stands."""

    MUTE = "waiting for the first message"
    LISTENING = "the caller's turn"
    AWAITING = "waiting for an answer"
    ENDED = "over"


class Event(Enum):
    """What moves a call on."""

    WHOLE = "a response is complete"
    TURN = "the caller finishes"
    SILENCE = "the caller is silent"
    HANG_UP = "somebody hangs up"


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.MUTE, Event.WHOLE): State.LISTENING,
    (State.MUTE, Event.TURN): State.AWAITING,
    (State.MUTE, Event.HANG_UP): State.ENDED,
    (State.LISTENING, Event.TURN): State.AWAITING,
    (State.LISTENING, Event.SILENCE): State.AWAITING,
    (State.LISTENING, Event.HANG_UP): State.ENDED,
    (State.AWAITING, Event.WHOLE): State.LISTENING,
    (State.AWAITING, Event.TURN): State.AWAITING,
    (State.AWAITING, Event.HANG_UP): State.ENDED,
}
"""The table above as data. What is not in it cannot happen, and asking for it raises."""

_CLOSE_REASONS: Final = {
    1000: "agent_hangup",
    1005: "error_llm_websocket_open",
    1007: "error_llm_websocket_corrupt_payload",
}


@dataclass(frozen=True)
class Spoken:
    """A frame that was accepted: its text is what the caller hears."""

    response: Response


@dataclass(frozen=True)
class Noted:
    """A frame that was accepted and says nothing: a wish, a note, a heartbeat."""

    message: ServerMessage


@dataclass(frozen=True)
class Dropped:
    """A frame that the platform throws away without telling you; here it says why."""

    reason: str


class Call:
    """One call, as the platform keeps it.

    Attributes:
        state: where the call stands.
        transcript: what was said and heard so far, oldest first.
        response_id: the id of the latest request; 0 before the first.
        disconnection_reason: why the call ended, in the platform's words; None while it goes on.
    """

    def __init__(self) -> None:
        self.state = State.MUTE
        self.transcript: list[Utterance] = []
        self.response_id = BEGIN_RESPONSE_ID
        self.disconnection_reason: str | None = None
        self._live = True  # whether the latest id still accepts content
        self._hangs_up = False  # whether the live response asked to end the call
        self._open_role: str | None = None  # whose utterance the next words belong to

    def caller_says(self, word: str) -> UpdateOnly:
        """Hear one more word from the caller; the answer is the update to send."""
        self._hear("user", word, joint=" ")
        return self.update()

    def caller_finishes(self) -> ResponseRequired:
        """End the caller's turn; the answer is the request to send."""
        self._move(Event.TURN)
        return ResponseRequired(response_id=self._next_id(), transcript=pack(self.transcript))

    def caller_is_silent(self) -> ReminderRequired:
        """Let the caller be quiet for too long; the answer is the request to send."""
        self._move(Event.SILENCE)
        return ReminderRequired(response_id=self._next_id(), transcript=pack(self.transcript))

    def update(self) -> UpdateOnly:
        """Say how the transcript stands; the answer is the update to send."""
        return UpdateOnly(transcript=pack(self.transcript))

    def receive(self, frame: str | bytes) -> Spoken | Noted | Dropped:
        """Judge one frame from the server: spoken, noted, or dropped for a reason."""
        if self.state is State.ENDED:
            return Dropped("the call is over")
        if isinstance(frame, bytes):
            self.socket_closed(1007)
            return Dropped("a binary frame, expected text: the platform closes with 1007")
        try:
            response = read_response(frame)
        except ServerProtocolError as error:
            return Dropped(str(error))
        return self._judge(response) if isinstance(response, Response) else Noted(response)

    def hang_up(self) -> None:
        """End the call from the caller's side."""
        self._end("user_hangup")

    def socket_closed(self, code: int) -> None:
        """End the call because the server's end of the socket closed with a code."""
        self._end(_CLOSE_REASONS.get(code, "error_llm_websocket_runtime"))

    def _judge(self, response: Response) -> Spoken | Dropped:
        if response.response_id != self.response_id:
            return Dropped(
                f"response_id {response.response_id} is not the latest one, {self.response_id}"
            )
        if not self._live:
            return Dropped(f"response_id {response.response_id} was already complete")
        return self._speak(response)

    def _speak(self, response: Response) -> Spoken:
        self._hear("agent", response.content, joint="")
        self._hangs_up = self._hangs_up or response.end_call
        if response.content_complete:
            self._live = False
            self._open_role = None
            self._move(Event.WHOLE)
            if self._hangs_up:
                self._end("agent_hangup")
        return Spoken(response)

    def _hear(self, role: str, text: str, *, joint: str) -> None:
        if not text:
            return
        if self._open_role == role:
            text = self.transcript.pop().content + joint + text
        self.transcript.append(Utterance(role=role, content=text))
        self._open_role = role

    def _next_id(self) -> int:
        self.response_id += 1
        self._live = True
        self._hangs_up = False
        self._open_role = None
        return self.response_id

    def _end(self, reason: str) -> None:
        if self.state is not State.ENDED:
            self._move(Event.HANG_UP)
            self.disconnection_reason = reason

    def _move(self, event: Event) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise ValueError(f"{event.value}, but the call is {self.state.value}") from None
