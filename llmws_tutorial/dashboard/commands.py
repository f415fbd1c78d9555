"""What a page may ask of the dashboard.

A command is one JSON object with the field ``type``. The table is the classes below: a class
`SkipSilence` is the type ``skip_silence``, its fields are the object's. What is no such object is
answered with an event ``trouble``, and has no effect.
"""

from typing import Annotated, Final, Literal

import msgspec

from llmws_tutorial.errors import SetupError

MOST_CHARACTERS: Final = 2**20
"""How long a text may be that a page sends."""

Text = Annotated[str, msgspec.Meta(max_length=MOST_CHARACTERS)]
Url = Annotated[str, msgspec.Meta(max_length=2000)]
Source = Annotated[str, msgspec.Meta(max_length=2**16)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
VoiceKind = Literal["kit", "browser", "captions"]
"""Who speaks: the kit's own voice, the browser's, or nobody (captions and a tone)."""


def _tag(name: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name).lstrip("_")


class Command(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=_tag,
    forbid_unknown_fields=True,
):
    """One thing that a page asks for."""


class Hello(Command, frozen=True, kw_only=True):
    """The first message of a page: it shows the token, and is told everything."""

    token: Text = ""


class Hint(Command, frozen=True, kw_only=True):
    """Ask what looks wrong with a URL, as far as it is typed."""

    url: Url


class Call(Command, frozen=True, kw_only=True):
    """Dial a server; `confirmed`: its user has seen that it is not on this machine."""

    url: Url
    confirmed: bool = False


class HangUp(Command, frozen=True, kw_only=True):
    """End the call, or the dialling."""


class Say(Command, frozen=True, kw_only=True):
    """Speak as the caller, also over the agent."""

    text: Text


class Mumble(Command, frozen=True, kw_only=True):
    """Say something that cannot be understood."""


class Press(Command, frozen=True, kw_only=True):
    """Press keys on the phone."""

    digits: Annotated[str, msgspec.Meta(pattern=r"^[0-9*#]{1,50}\Z")]


class SkipSilence(Command, frozen=True, kw_only=True):
    """Let the rest of a silence pass at once."""


class Heard(Command, frozen=True, kw_only=True):
    """What the browser's own recognition made of the caller's voice so far."""

    text: Text
    is_over: bool = False


class Spoken(Command, frozen=True, kw_only=True):
    """How many words of a piece the browser's own voice has spoken by now."""

    piece: Count
    words: Count


class Microphone(Command, frozen=True, kw_only=True):
    """Begin or stop to send the caller's voice, as binary messages.

    They are mono PCM (int16) at 16 kHz. Stopped with `is_turn_over`, the caller's turn is over at
    once (a key was let go).
    """

    is_on: bool
    is_turn_over: bool = False


class UseVoice(Command, frozen=True, kw_only=True):
    """Choose who speaks from the next call on; the sound comes to this page."""

    kind: VoiceKind


class ListenHere(Command, frozen=True, kw_only=True):
    """Let the sound of the call come to this page."""


class GoWrong(Command, frozen=True, kw_only=True):
    """Let something go wrong on the platform's side of the socket."""

    kind: Literal["drop_line", "slow", "resend"]
    seconds: Seconds = 3.0


class Send(Command, frozen=True, kw_only=True):
    """Send a frame to the server, exactly as it is."""

    text: Text


class Play(Command, frozen=True, kw_only=True):
    """Play a scenario against the server; at speed 1 it is a call that can be heard.

    It is one of the kit's, by its name, or one that was written in the page, as text; without
    either it is every one of the kit's, one after the other.
    """

    name: Name = ""
    text: Source = ""
    url: Url
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    confirmed: bool = False


class Proofread(Command, frozen=True, kw_only=True):
    """Ask what is wrong with a scenario, as far as it is written."""

    text: Source


class Check(Command, frozen=True, kw_only=True):
    """Run the checks whose ids start with one of the prefixes (all without any)."""

    url: Url
    prefixes: list[Name] = []
    profile: Literal["guide-2024", "current"] = "current"
    confirmed: bool = False


class StopCheck(Command, frozen=True, kw_only=True):
    """End a run of checks; what was found stays."""


class ShowFrame(Command, frozen=True, kw_only=True):
    """Ask for a frame in full: of the call of this id, the current one or one on disk."""

    call_id: Name
    number: Count


class OpenCall(Command, frozen=True, kw_only=True):
    """Ask for all of a call on disk."""

    call_id: Name


class ForgetCall(Command, frozen=True, kw_only=True):
    """Delete a call from the disk."""

    call_id: Name


class Compare(Command, frozen=True, kw_only=True):
    """Ask what the second of two calls on disk does otherwise than the first."""

    first: Name
    second: Name


AnyCommand = (
    Hello
    | Hint
    | Call
    | HangUp
    | Say
    | Mumble
    | Press
    | SkipSilence
    | Heard
    | Spoken
    | Microphone
    | UseVoice
    | ListenHere
    | GoWrong
    | Send
    | Play
    | Proofread
    | Check
    | StopCheck
    | ShowFrame
    | OpenCall
    | ForgetCall
    | Compare
)
_decoder: Final[msgspec.json.Decoder[AnyCommand]] = msgspec.json.Decoder(AnyCommand)


def read_command(text: str) -> AnyCommand:
    """Read one message of a page.

    Raises:
        SetupError: when it is none of the commands.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise SetupError(f"the page sent what is no command: {error!s:.300}; reload it") from None
