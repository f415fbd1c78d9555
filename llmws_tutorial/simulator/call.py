"""The platform's side of one call, without a socket, a clock or a task.

What people do is the `conversation`; this module is the wire at it. Whoever holds the socket brings
the time with `advance`, hands frames in with `receive`, and fetches what is to be sent with `take`.
The source of each rule is docs/protocol.md, sections 2 to 6.
"""

from llmws_tutorial.messages import (
    AgentInterrupt,
    CallFacts,
    ConfigFields,
    Request,
    Response,
    ServerMessage,
    UpdateAgent,
    Utterance,
)
from llmws_tutorial.simulator import endings
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.conversation import Conversation
from llmws_tutorial.simulator.states import State
from llmws_tutorial.simulator.verdict import Accepted, Drop, Dropped, Verdict, read_frame
from llmws_tutorial.simulator.voice import Voice


class Call(Conversation):
    """One call, as the platform keeps it.

    Attributes:
        facts: what a server is told that asks for call_details.
    """

    def __init__(
        self,
        facts: CallFacts | None = None,
        *,
        choices: Choices | None = None,
        voice: Voice | None = None,
    ) -> None:
        """Begin a call.

        Args:
            facts: what a server is told that asks for call_details; None: it is a web call.
            choices: what the stand-in does where nothing is documented; None takes the defaults.
            voice: who speaks what the agent says; None: a steady one, without a sound.
        """
        super().__init__(choices=choices, voice=voice)
        self.facts = facts or CallFacts(call_type="web_call", call_status="ongoing")
        self._has_details = False

    @property
    def transcript(self) -> tuple[Utterance, ...]:
        """What was said and heard so far, oldest first."""
        return self.heard.utterances

    @property
    def response_id(self) -> int:
        """The id of the latest request; 0 before the first."""
        return self.answers.response_id

    def receive(self, frame: str | bytes) -> Verdict:
        """Judge one frame from the server, and let it have its effect."""
        verdict = self._judge(frame)
        if isinstance(verdict, Dropped):
            self.note(f"dropped a frame: {verdict.reason}")
        return verdict

    def take(self) -> list[Request]:
        """The messages that are to be sent now, in order; they are handed out once."""
        return self._outbox.take()

    def connected(self, *, again: bool = False) -> None:
        """Take note that the socket is open, for the first time or after a drop."""
        self.note("the socket is open again" if again else "the socket is open")
        if not again:
            return
        if not self.choices.remembers_config:
            self.wishes.config = ConfigFields()
        if not self.choices.details_once:
            self._has_details = False
        self._tell_details()
        if self.choices.asks_again_after_reconnect and self.state is State.AWAITING:
            self._ask(self.answers.turns[-1].kind)

    def socket_closed(self, code: int) -> None:
        """End the call as the socket closed with a code (1006: no close frame)."""
        self.note(f"the socket closed with {code}")
        self._end(endings.reason_of(code, self.choices.going_away_reason))

    def _judge(self, frame: str | bytes) -> Verdict:
        if self.state is State.ENDED:
            return Dropped(Drop.OVER, "the call is over")
        message = read_frame(frame)
        if isinstance(message, Dropped):
            if message.kind is Drop.BINARY:
                self.socket_closed(1007)
            elif message.kind is Drop.UNKNOWN_EVENT and self.choices.ends_on_unknown_event:
                self._end(endings.CORRUPT)
            return message
        if isinstance(message, Response | AgentInterrupt):
            return self._take_piece(message)
        self._take_wish(message)
        return Accepted(message)

    def _take_piece(self, piece: Response | AgentInterrupt) -> Verdict:
        turn = self.answers.judge(piece, self.now_s)
        if isinstance(turn, Dropped):
            return turn
        turn.take(piece, self.now_s)
        if turn.kind == "interrupt" and turn is not self._turn and not turn.is_cut:
            self._interrupt_with(turn)
        elif turn.kind == "greeting" and not turn.is_cut:
            self._turn = turn  # it had it already, unless this is a second greeting
        self._speak()
        return Accepted(piece)

    def _take_wish(self, message: ServerMessage) -> None:
        if (entry := self.wishes.take(message, self.now_s)) is not None:
            self.heard.weave(entry)
        self._tell_details()
        if isinstance(message, UpdateAgent) and self.is_callers_turn:
            self._set_reminder()

    def _tell_details(self) -> None:
        if self.wishes.config.call_details and not self._has_details:
            self._has_details = True
            self._outbox.tell_details(self.facts)
