"""The platform's side of one call, without a socket, a clock or a task.

Where a call stands, and what moves it on, is the table in `states`. Time is brought from outside:
whoever holds the socket calls `advance` with the seconds of the call, hands frames in with
`receive`, and fetches what is to be sent with `take`. `due_s` says when to come back.
The source of each rule is docs/protocol.md, sections 2 to 6.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, cast

from llmws_tutorial.messages import (
    AgentInterrupt,
    CallDetails,
    CallFacts,
    ConfigFields,
    Entry,
    ReminderRequired,
    Request,
    Response,
    ResponseRequired,
    ServerMessage,
    UpdateAgent,
    UpdateOnly,
    Utterance,
    Word,
)
from llmws_tutorial.simulator import endings
from llmws_tutorial.simulator.answers import Answers
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.log import LogLine
from llmws_tutorial.simulator.mouth import Mouth
from llmws_tutorial.simulator.states import TRANSITIONS, Event, State
from llmws_tutorial.simulator.timers import Timer, Timers
from llmws_tutorial.simulator.transcript import UNINTELLIGIBLE, Transcript
from llmws_tutorial.simulator.turn import Action, Kind, Turn
from llmws_tutorial.simulator.verdict import Accepted, Drop, Dropped, Verdict, read_frame
from llmws_tutorial.simulator.voice import SteadyVoice, Voice
from llmws_tutorial.simulator.wishes import Wishes


class Call:
    """One call, as the platform keeps it. Times are seconds since the call began.

    Attributes:
        state: where the call stands.
        now_s: the time up to which the call has been brought.
        facts: what a server is told that asks for call_details.
        voice: who speaks what the agent says.
        answers: the turns of the agent, and which of them still takes content.
        wishes: what the server asked for besides.
        heard: the transcript as it grows.
        log: what happened, one line each.
        pressed: the keys that the agent pressed, in order.
        transferred_to: whom the agent transferred the call to; None if it did not.
        disconnection_reason: why the call ended, in the platform's words; None while it goes on.
    """

    def __init__(
        self,
        facts: CallFacts | None = None,
        *,
        choices: Choices | None = None,
        voice: Voice | None = None,
    ) -> None:
        self.choices = choices or Choices()
        self.voice = voice or SteadyVoice(
            delay_s=self.choices.voice_s, words_per_s=self.choices.words_per_s
        )
        self.facts = facts or CallFacts(call_type="web_call", call_status="ongoing")
        self.state = State.MUTE
        self.now_s = 0.0
        self.answers = Answers(self.choices)
        self.wishes = Wishes(self.choices)
        self.heard = Transcript()
        self.log: list[LogLine] = []
        self.pressed: list[str] = []
        self.transferred_to: str | None = None
        self.disconnection_reason: str | None = None
        self._word_s = 1 / self.choices.words_per_s
        self._timers = Timers()
        self._outbox: list[Request] = []
        self._voice: Turn | None = self.answers.greeting  # the turn that has the agent's voice
        self._agent_word_s = 0.0  # how long its word takes
        self._mouth = Mouth()
        self._owes_turn = False  # the caller finished while the agent could not be interrupted
        self._reminders = 0
        self._quiet_since_s = 0.0  # since when everybody waits for the caller
        self._has_details = False
        self._timers.set(Timer.MAX_DURATION, self.choices.max_duration_s)
        self._timers.set(Timer.INACTIVITY, self.choices.inactivity_s)

    @property
    def due_s(self) -> float:
        """When something happens next by itself (seconds of the call; inf: never)."""
        return self._timers.due_s

    @property
    def transcript(self) -> tuple[Utterance, ...]:
        """What was said and heard so far, oldest first."""
        return self.heard.utterances

    @property
    def response_id(self) -> int:
        """The id of the latest request; 0 before the first."""
        return self.answers.response_id

    @property
    def speaking(self) -> Turn | None:
        """The agent's turn that is being spoken; None while the agent is quiet."""
        return self._voice if self.state is State.SPEAKING else None

    @property
    def is_caller_talking(self) -> bool:
        """Whether the caller has words left, or has only just said the last one."""
        return self._mouth.is_busy or Timer.END_OF_TURN in self._timers

    @property
    def is_callers_turn(self) -> bool:
        """Whether everybody waits for the caller."""
        return self.state is State.LISTENING and not self.is_caller_talking

    @property
    def waits_for_server(self) -> bool:
        """Whether everybody waits for the server: it owes (more of) what to say."""
        is_quiet = not self.is_caller_talking and Timer.AGENT_WORD not in self._timers
        return is_quiet and self.state in (State.MUTE, State.AWAITING, State.SPEAKING)

    def advance(self, now_s: float) -> None:
        """Let everything happen that is due by this time, each thing at its own time."""
        while (due := self._timers.pop(now_s)) is not None:
            timer, at_s = due
            self.now_s = max(self.now_s, at_s)
            self._DO[timer](self)
        self.now_s = max(self.now_s, now_s)

    def receive(self, frame: str | bytes) -> Verdict:
        """Judge one frame from the server, and let it have its effect."""
        verdict = self._judge(frame)
        if isinstance(verdict, Dropped):
            self.note(f"dropped a frame: {verdict.reason}")
        return verdict

    def take(self) -> list[Request]:
        """The messages that are to be sent now, in order; they are handed out once."""
        messages, self._outbox = self._outbox, []
        return messages

    def caller_says(self, text: str) -> None:
        """Begin to say something, or go on: one word after another, then a pause."""
        self._talk(text.encode(errors="replace").decode().split())  # no half characters

    def caller_is_heard(self, text: str, *, silent_s: float | None = None) -> None:
        """Take what a recogniser makes of the caller's voice, from its first sound on.

        Args:
            text: all of it so far, also where it differs from before; empty until there is a word.
            silent_s: how long the caller has been silent by now (seconds); None while they speak.
        """
        words = text.encode(errors="replace").decode().split()
        is_over = silent_s is not None
        if self.state is State.ENDED or (is_over and not words and not self._mouth.is_voiced):
            return
        if not self._mouth.is_voiced:
            self._begin_to_talk()
            self._mouth.open(self.heard.content_of("user"))
        if words:
            self._understand(words)
        self._cut_if_talked_over()
        if silent_s is not None:
            self._mouth.close()
            self._fall_silent(silent_s)

    def caller_mumbles(self) -> None:
        """Say something that cannot be understood."""
        self._talk([UNINTELLIGIBLE])

    def caller_presses(self, digits: str) -> None:
        """Press keys on the phone."""
        if self.state is State.ENDED or not digits:
            return
        for digit in digits:
            self.heard.weave(Entry(role="dtmf", digit=digit))
        self.note(f"the caller pressed {digits}")
        self._update()
        if self.choices.digits_end_turn and not self._mouth.is_busy:
            self._mouth.stopped_at_s = self.now_s
            self._pause()

    def go_on(self) -> None:
        """Speak on: a sound that the voice did not have before is there now."""
        self._speak()

    def hang_up(self) -> None:
        """End the call from the caller's side."""
        self._end(endings.CALLER)

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

    def fail(self, reason: str, why: str) -> None:
        """End the call for a reason of the platform's own."""
        self.note(why)
        self._end(reason)

    def note(self, text: str) -> None:
        """Write one line into the log of the call."""
        self.log.append(LogLine(round(self.now_s, 3), text))

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
        if turn.kind == "interrupt" and turn is not self._voice and not turn.is_cut:
            self._interrupt_with(turn)
        elif turn.kind == "greeting" and not turn.is_cut:
            self._voice = turn  # it had it already, unless this is a second greeting
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
            self._outbox.append(CallDetails(call=self.facts))

    def _speak(self) -> None:
        """Go on speaking, if there is something to say and it is the agent's turn."""
        turn = self._voice
        if turn is None or Timer.AGENT_WORD in self._timers:
            return
        if turn.speech.is_over:
            self._finish(turn)
        elif turn.speech.next_word is not None:
            if self.state is not State.SPEAKING and self.is_caller_talking:
                return  # nobody begins to speak while the caller does
            self._begin_word(turn)

    def _begin_word(self, turn: Turn) -> None:
        if turn.ready_at_s is None:
            turn.ready_at_s = self.now_s
        word_s = self.voice.say(turn)
        if word_s is None:
            return  # its sound is not there yet
        delay_s = 0.0
        if self.state is not State.SPEAKING:
            self._move(Event.VOICE)
        if turn.voice_at_s is None:
            delay_s = self.voice.delay_s(turn)
            turn.voice_at_s = self.now_s + delay_s
            self._update(turntaking="agent_turn")
        self._agent_word_s = word_s
        self._timers.set(Timer.AGENT_WORD, self.now_s + delay_s + word_s)

    def _agent_word(self) -> None:
        turn = cast(Turn, self._voice)  # the timer stops with the voice
        heard, word = turn.heard, turn.speech.hear()
        spoken = self.heard.content_of("agent") + turn.heard.removeprefix(heard)
        self._hear("agent", spoken.lstrip(), word)
        self._update()
        if not self._cut_if_talked_over():
            self._speak()

    def _interrupt_with(self, turn: Turn) -> None:
        """Let the agent talk over whoever speaks, itself included."""
        if self._voice is not None:
            self._silence(self._voice)
        self.note("the agent interrupts")
        self._voice = turn
        self._mouth.give_way()
        self._move(Event.VOICE)

    def _cut_if_talked_over(self) -> bool:
        """Stop the agent, if the caller has said enough over what it says."""
        turn, needed = self.speaking, self.wishes.words_to_interrupt
        if turn is None or not self._mouth.talks_over(turn.speech, needed, self.now_s):
            return False
        self.note("the caller talks over the agent")
        self._silence(turn)
        self._move(Event.BARGE_IN)
        return True

    def _silence(self, turn: Turn) -> None:
        """Cut the agent's voice: the rest is never heard, and its action never done."""
        self._timers.stop(Timer.AGENT_WORD)
        self._voice = None
        self.voice.hush(turn)
        turn.is_cut = True
        if turn.action is not None:
            self.note(f"{turn.action.name} is forgotten: the agent was interrupted")
        if self.choices.shows_unheard_words and self.heard.content_of("agent"):
            self._hear("agent", turn.sent.strip(), None)
        self.heard.close("agent")

    def _finish(self, turn: Turn) -> None:
        """End a turn of the agent that was spoken whole; now is the time for its action."""
        self.heard.close("agent")
        self._voice = None
        if turn.action is not None:
            turn.has_acted = True
            self._act(turn.action)
        if self.state is State.ENDED:
            return
        if self.state is not State.LISTENING:
            self._move(Event.DONE)
        if self.is_caller_talking:
            return  # the end of that turn asks
        if self._owes_turn:
            self._ask("response")
        else:
            self._quiet_since_s = self.now_s
            self._set_reminder()

    def _act(self, action: Action) -> None:
        match action.name:
            case "end_call":
                self._end(endings.AGENT)
            case "transfer_number":
                self.transferred_to = action.value
                self._end(endings.TRANSFER)
            case _:  # digit_to_press
                self.pressed.append(action.value)
                self.note(f"the agent pressed {action.value}")

    def _talk(self, words: list[str]) -> None:
        if self.state is State.ENDED or not words:
            return
        self._begin_to_talk()
        if Timer.CALLER_WORD not in self._timers:
            self._timers.set(Timer.CALLER_WORD, self.now_s + self._word_s)
        self._mouth.take(words)
        self._cut_if_talked_over()

    def _begin_to_talk(self) -> None:
        if not self.is_caller_talking:
            self._mouth.words_over = 0
        self._timers.stop(Timer.REMINDER, Timer.END_OF_TURN)

    def _understand(self, words: list[str]) -> None:
        """Let the open utterance of the caller say what was made out of their voice."""
        content = self._mouth.understand(words, self.now_s)
        before = self.heard.content_of("user")
        if content != before:
            self._hear("user", content, None)
            self._update(turntaking=None if before else "user_turn")

    def _fall_silent(self, silent_s: float) -> None:
        """Wait for the rest of the pause that ends a turn; a mere noise was no turn."""
        if self._mouth.is_busy:
            return
        if self.heard.content_of("user"):
            self._mouth.stopped_at_s = self.now_s - silent_s
            self._pause(silent_s)
        elif self.is_callers_turn:
            self._set_reminder()

    def _caller_word(self) -> None:
        word = self._mouth.say(self.now_s)
        before = self.heard.content_of("user")
        self._hear("user", f"{before} {word}".lstrip(), None if word == UNINTELLIGIBLE else word)
        self._update(turntaking=None if before else "user_turn")
        self._cut_if_talked_over()
        if self._mouth.has_words:
            self._timers.set(Timer.CALLER_WORD, self.now_s + self._word_s)
        elif not self._mouth.is_voiced:
            self._pause()

    def _pause(self, silent_s: float = 0.0) -> None:
        patience = self.choices.hesitation_s * (1 - self.wishes.responsiveness)
        left_s = max(self.choices.end_of_turn_s + patience - silent_s, 0.0)
        self._reminders = 0
        self._timers.stop(Timer.REMINDER)
        self._timers.set(Timer.END_OF_TURN, self.now_s + left_s)

    def _end_of_turn(self) -> None:
        self.heard.close("user")
        if self.state is State.SPEAKING:  # the agent could not be interrupted
            self._owes_turn = self.choices.answers_after_protected
        else:
            self._ask("response")

    def _set_reminder(self) -> None:
        due_s = self._quiet_since_s + self.wishes.reminder_after_s(self._reminders)
        self._timers.set(Timer.REMINDER, max(due_s, self.now_s))

    def _remind(self) -> None:
        self._reminders += 1
        self._ask("reminder", Event.SILENCE)

    def _ask(self, kind: Kind, event: Event = Event.TURN) -> None:
        self._move(event)
        self._owes_turn = False
        is_reminder = kind == "reminder"
        stopped_at_s = None if is_reminder else self._mouth.stopped_at_s
        self._voice = self.answers.ask(kind, self.now_s, stopped_at_s)
        message = ReminderRequired if is_reminder else ResponseRequired
        fields = self.heard.as_fields(self.wishes.config)
        self._outbox.append(message(response_id=self.response_id, **fields))

    def _update(self, turntaking: Literal["agent_turn", "user_turn"] | None = None) -> None:
        fields = self.heard.as_fields(self.wishes.config)
        self._outbox.append(UpdateOnly(turntaking=turntaking, **fields))

    def _hear(self, role: str, content: str, word: str | None) -> None:
        took_s = self._agent_word_s if role == "agent" else self._word_s
        start_s, end_s = round(self.now_s - took_s, 3), round(self.now_s, 3)
        timed = None if word is None else Word(word=word, start=start_s, end=end_s)
        self.heard.hear(role, content, timed)
        self._timers.set(Timer.INACTIVITY, self.now_s + self.choices.inactivity_s)

    def _end(self, reason: str) -> None:
        if self.state is State.ENDED:
            return
        if self._voice is not None:
            self.voice.hush(self._voice)
        self._move(Event.END)
        self.disconnection_reason = reason
        self._timers.clear()
        self._mouth.shut()
        self.heard.close("user", "agent")
        self.note(f"the call ended: {reason}")

    def _move(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]
        if self.state is not State.LISTENING:
            self._timers.stop(Timer.REMINDER)

    _DO: ClassVar[dict[Timer, Callable[["Call"], None]]] = {
        Timer.CALLER_WORD: _caller_word,
        Timer.AGENT_WORD: _agent_word,
        Timer.END_OF_TURN: _end_of_turn,
        Timer.REMINDER: _remind,
        Timer.INACTIVITY: lambda call: call.fail(endings.IDLE, "nobody has said a word for long"),
        Timer.MAX_DURATION: lambda call: call.fail(endings.TOO_LONG, "the call is too long"),
    }
