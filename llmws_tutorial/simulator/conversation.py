"""Two on a phone: who speaks, word by word, who waits, and who cuts whom short.

Where a call stands, and what moves it on, is the table in `states`. Time is brought from outside:
`advance` lets everything happen that is due by a second of the call, `due_s` says when to come
back. Nothing here knows a frame: what the agent is to say comes as turns, what the server is to be
told goes into the outbox; `call` does the rest.
The source of each rule is docs/protocol.md, sections 2 to 5.
"""

from collections.abc import Callable
from typing import ClassVar, cast

from llmws_tutorial.messages import Entry, Word
from llmws_tutorial.simulator import endings
from llmws_tutorial.simulator.answers import Answers
from llmws_tutorial.simulator.choices import Choices
from llmws_tutorial.simulator.log import LogLine
from llmws_tutorial.simulator.mouth import Mouth
from llmws_tutorial.simulator.outbox import Outbox
from llmws_tutorial.simulator.states import TRANSITIONS, Event, State
from llmws_tutorial.simulator.timers import NEVER, Timer, Timers
from llmws_tutorial.simulator.transcript import UNINTELLIGIBLE, Transcript
from llmws_tutorial.simulator.turn import Action, Kind, Turn
from llmws_tutorial.simulator.voice import SteadyVoice, Voice
from llmws_tutorial.simulator.wishes import Wishes


class Conversation:
    """What the caller and the agent say to each other.

    Times are seconds since the call began.

    Attributes:
        choices: how fast people are, and what nobody wrote down.
        voice: who speaks what the agent says.
        state: where the call stands.
        now_s: the time up to which the call has been brought.
        answers: the turns of the agent, and which of them still takes content.
        wishes: what the server asked for besides.
        heard: the transcript as it grows.
        log: what happened, one line each.
        pressed: the keys that the agent pressed, in order.
        transferred_to: whom the agent transferred the call to; None if it did not.
        disconnection_reason: why the call ended, in the platform's words; None while it goes on.
    """

    def __init__(self, *, choices: Choices | None = None, voice: Voice | None = None) -> None:
        """Begin: the line is open, and nobody has said a word.

        Args:
            choices: how fast people are, and what nobody wrote down; None takes the defaults.
            voice: who speaks what the agent says; None: a steady one, without a sound.
        """
        self.choices = choices or Choices()
        self.voice = voice or SteadyVoice(
            delay_s=self.choices.voice_s, words_per_s=self.choices.words_per_s
        )
        self.state = State.MUTE
        self.now_s = 0.0
        self.answers = Answers(self.choices)
        self.wishes = Wishes(self.choices)
        self.heard = Transcript()
        self.log: list[LogLine] = []
        self.pressed: list[str] = []
        self.transferred_to: str | None = None
        self.disconnection_reason: str | None = None
        self._outbox = Outbox(self.heard, self.wishes)
        self._timers = Timers()
        self._turn: Turn | None = self.answers.greeting  # what the agent says, or will say next
        self._agent_word_s = 0.0  # how long the word takes that it is saying
        self._mouth = Mouth(self._timers, word_s=1 / self.choices.words_per_s)
        self._has_pressed = False  # since the caller's last turn: keys that end one, after a pause
        self._owes_turn = False  # the caller finished while the agent could not be interrupted
        self._reminders = 0
        self._quiet_since_s = 0.0  # since when everybody waits for the caller
        self._timers.set(Timer.MAX_DURATION, self.choices.max_duration_s)
        self._timers.set(Timer.INACTIVITY, self.choices.inactivity_s)

    @property
    def due_s(self) -> float:
        """When something happens next by itself (seconds of the call; inf: never)."""
        return self._timers.due_s

    @property
    def reminder_due_s(self) -> float:
        """When a silent caller is reminded, unless the call ends before (inf: never)."""
        at_s = self._timers.at_s(Timer.REMINDER)
        return at_s if at_s == self.due_s else NEVER

    @property
    def speaking(self) -> Turn | None:
        """The agent's turn that is being spoken; None while the agent is quiet."""
        return self._turn if self.state is State.SPEAKING else None

    @property
    def is_caller_talking(self) -> bool:
        """Whether the caller has words left, or has only just said the last one."""
        return self._mouth.is_talking

    @property
    def is_callers_turn(self) -> bool:
        """Whether everybody waits for the caller."""
        return self.state is State.LISTENING and not self.is_caller_talking

    @property
    def waits_for_server(self) -> bool:
        """Whether everybody waits for the server: it owes (more of) what to say."""
        if self.is_caller_talking or Timer.AGENT_WORD in self._timers:
            return False
        is_spoken = self.state is State.SPEAKING and not self.waits_for_voice
        return is_spoken or self.state in (State.MUTE, State.AWAITING)

    @property
    def waits_for_voice(self) -> bool:
        """Whether everybody waits for the agent's voice: it owes a word's sound."""
        if self.is_caller_talking or Timer.AGENT_WORD in self._timers:
            return False
        turn = self.speaking
        return turn is not None and turn.speech.next_word is not None

    def advance(self, now_s: float) -> None:
        """Let everything happen that is due by this time, each thing at its own time."""
        while (due := self._timers.pop(now_s)) is not None:
            timer, at_s = due
            self.now_s = max(self.now_s, at_s)
            self._DO[timer](self)
        self.now_s = max(self.now_s, now_s)

    def caller_says(self, text: str) -> None:
        """Begin to say something, or go on: one word after another, then a pause."""
        self._talk(_words(text))

    def caller_mumbles(self) -> None:
        """Say something that cannot be understood."""
        self._talk([UNINTELLIGIBLE])

    def caller_is_heard(self, text: str, *, silent_s: float | None = None) -> None:
        """Take what a recogniser makes of the caller's voice, from its first sound on.

        Args:
            text: all of it so far, also where it differs from before; empty until there is a word.
            silent_s: how long the caller has been silent by now (seconds); None while they speak.
        """
        words = [text] if text == UNINTELLIGIBLE else _words(text)
        is_known = self._mouth.is_voiced or bool(words) or silent_s is None
        if self.state is State.ENDED or not is_known:
            return
        if not self._mouth.is_voiced:
            self._timers.stop(Timer.REMINDER)
            self._mouth.open(self.heard.content_of("user"))
        if words:
            self._hear_caller(self._mouth.understand(words))
        self._cut_if_talked_over()
        if silent_s is not None:
            self._mouth.close(self.now_s)
            self._fall_silent(silent_s)

    def caller_presses(self, digits: str) -> None:
        """Press keys on the phone."""
        if self.state is State.ENDED or not digits:
            return
        for digit in digits:
            self.heard.weave(Entry(role="dtmf", digit=digit))
        self.note(f"the caller pressed {digits}")
        self._outbox.update()
        self._has_pressed = self.choices.digits_end_turn
        if self._has_pressed and not self._mouth.is_busy:
            self._pause()

    def hang_up(self) -> None:
        """End the call from the caller's side."""
        self._end(endings.CALLER)

    def fail(self, reason: str, why: str) -> None:
        """End the call for a reason of the platform's own."""
        self.note(why)
        self._end(reason)

    def go_on(self) -> None:
        """Speak on: a sound that the voice did not have before is there now."""
        self._speak()

    def note(self, text: str) -> None:
        """Write one line into the log of the call."""
        self.log.append(LogLine(round(self.now_s, 3), text))

    def _speak(self) -> None:
        """Go on speaking, if there is something to say and it is the agent's turn."""
        turn = self._turn
        if turn is None or Timer.AGENT_WORD in self._timers:
            return
        if turn.speech.is_over:
            self._finish(turn)
        elif turn.speech.next_word is not None:
            if self.state is not State.SPEAKING:
                if self.is_caller_talking:
                    return  # nobody begins to speak while the caller does
                self._move(Event.VOICE)
            self._begin_word(turn)

    def _begin_word(self, turn: Turn) -> None:
        if turn.ready_at_s is None:
            turn.ready_at_s = self.now_s
        word_s = self.voice.say(turn)
        if word_s is None:
            return  # its sound is not there yet
        delay_s = 0.0
        if turn.voice_at_s is None:
            delay_s = self.voice.delay_s(turn)
            turn.voice_at_s = self.now_s + delay_s
            self._outbox.update("agent_turn")
        self._agent_word_s = word_s
        self._timers.set(Timer.AGENT_WORD, self.now_s + delay_s + word_s)

    def _agent_word(self) -> None:
        turn = cast(Turn, self._turn)  # the timer stops with the voice
        heard, word = turn.heard, turn.speech.hear()
        spoken = self.heard.content_of("agent") + turn.heard.removeprefix(heard)
        timed = self._timed(word, self._agent_word_s)
        self._hear("agent", spoken.lstrip(), timed)
        self._outbox.update()
        if not self._cut_if_talked_over():
            self._speak()

    def _interrupt_with(self, turn: Turn) -> None:
        """Let the agent talk over whoever speaks, itself included."""
        if self._turn is not None:
            self._silence(self._turn)
        self.note("the agent interrupts")
        self._turn = turn
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
        """Cut the agent's turn: the rest is never heard, and its action never done."""
        self._hush(turn)
        turn.is_cut = True
        if turn.action is not None:
            self.note(f"{turn.action.name} is forgotten: the agent was interrupted")
        if self.choices.shows_unheard_words and self.heard.content_of("agent"):
            self._hear("agent", turn.sent.strip())
        self.heard.close("agent")

    def _hush(self, turn: Turn) -> None:
        """Stop the voice in mid-turn, if it has begun with it."""
        self._turn = None
        self._timers.stop(Timer.AGENT_WORD)
        if turn.ready_at_s is not None:
            self.voice.hush(turn)

    def _finish(self, turn: Turn) -> None:
        """End a turn of the agent that was spoken whole; now is the time for its action."""
        self.heard.close("agent")
        self._turn = None
        if turn.action is not None:
            turn.has_acted = True
            self._act(turn.action)
        if self.state is State.ENDED:
            return
        if self.state is not State.LISTENING:
            self._move(Event.DONE)
        if not self.is_caller_talking:  # else the end of that turn asks
            self._wait_for_caller()

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
        self._timers.stop(Timer.REMINDER)
        self._mouth.take(words, self.now_s)
        self._cut_if_talked_over()

    def _caller_word(self) -> None:
        word = self._mouth.say(self.now_s)
        timed = None if word == UNINTELLIGIBLE else self._timed(word, self._mouth.word_s)
        self._hear_caller(f"{self.heard.content_of('user')} {word}".lstrip(), timed)
        self._cut_if_talked_over()
        self._mouth.go_on(self.now_s)
        if not self._mouth.is_busy:
            self._pause()

    def _hear_caller(self, content: str, word: Word | None = None) -> None:
        """Let the caller's open utterance say this now; a voice may be understood anew."""
        before = self.heard.content_of("user")
        if content != before:
            self._hear("user", content, word)
            self._outbox.update(None if before else "user_turn")

    def _fall_silent(self, silent_s: float) -> None:
        """Go on after a voice; a mere noise was no turn, and whatever it held up goes on too."""
        if self._mouth.is_busy:
            return
        if self.heard.content_of("user") or self._has_pressed:
            self._pause(silent_s)
        else:
            self._speak()
            if self.is_callers_turn:
                self._wait_for_caller(silent_s)

    def _pause(self, silent_s: float = 0.0) -> None:
        patience_s = self.choices.hesitation_s * (1 - self.wishes.responsiveness)
        self._mouth.pause(self.choices.end_of_turn_s + patience_s, self.now_s, silent_s=silent_s)
        self._reminders = 0
        self._timers.stop(Timer.REMINDER)

    def _end_of_turn(self) -> None:
        self.heard.close("user")
        self._has_pressed = False
        if self.state is State.SPEAKING:  # the agent could not be interrupted
            self._owes_turn = self.choices.answers_after_protected
        else:
            self._ask("response")

    def _wait_for_caller(self, silent_s: float = 0.0) -> None:
        """Let it be the caller's turn, if no answer to them is owed."""
        if self._owes_turn:
            self._ask("response")
        else:
            self._quiet_since_s = self.now_s - silent_s
            self._set_reminder()

    def _set_reminder(self) -> None:
        due_s = self._quiet_since_s + self.wishes.reminder_after_s(self._reminders)
        self._timers.set(Timer.REMINDER, max(due_s, self.now_s))

    def _remind(self) -> None:
        self._reminders += 1
        self._ask("reminder", Event.SILENCE)

    def _ask(self, kind: Kind, event: Event = Event.TURN) -> None:
        self._move(event)
        self._owes_turn = False
        stopped_at_s = None if kind == "reminder" else self._mouth.stopped_at_s
        self._turn = self.answers.ask(kind, self.now_s, stopped_at_s)
        self._outbox.ask(self._turn)

    def _timed(self, word: str, took_s: float) -> Word:
        """A word that has just been said."""
        return Word(word=word, start=round(self.now_s - took_s, 3), end=round(self.now_s, 3))

    def _hear(self, role: str, content: str, word: Word | None = None) -> None:
        self.heard.hear(role, content, word)
        self._timers.set(Timer.INACTIVITY, self.now_s + self.choices.inactivity_s)

    def _end(self, reason: str) -> None:
        if self.state is State.ENDED:
            return
        if self._turn is not None:
            self._hush(self._turn)
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

    _DO: ClassVar[dict[Timer, Callable[["Conversation"], None]]] = {
        Timer.CALLER_WORD: _caller_word,
        Timer.AGENT_WORD: _agent_word,
        Timer.END_OF_TURN: _end_of_turn,
        Timer.REMINDER: _remind,
        Timer.INACTIVITY: lambda call: call.fail(endings.IDLE, "nobody has said a word for long"),
        Timer.MAX_DURATION: lambda call: call.fail(endings.TOO_LONG, "the call is too long"),
    }


def _words(text: str) -> list[str]:
    return text.encode(errors="replace").decode().split()  # no half characters
