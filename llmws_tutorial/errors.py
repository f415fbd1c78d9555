"""Everything that can go wrong, as one tree.

::

    LlmwsError
    ├── ProtocolError          a frame broke the protocol
    │   ├── ServerProtocolError      your server did
    │   │   ├── NotJson                  a frame that is not JSON at all
    │   │   └── UnknownEvent             a response_type that the platform does not know
    │   └── PlatformProtocolError    the platform did
    │       └── ForeignFrame             a frame that no platform can have sent
    ├── ResponderError         a responder had nothing to say
    ├── ToolError              a tool could not do what the model asked for
    ├── BadSignature           a webhook that the platform did not sign just now
    ├── CannotConnect          a call that never came about
    ├── UpstreamError          the scripted model fails, as its script says
    │   ├── UpstreamRefused          instead of an answer
    │   └── UpstreamBroken           in the middle of one
    └── SetupError             this machine is not ready
        ├── PortBusy
        ├── TunnelError
        └── ScenarioError

The split by who is to blame is the one of h11: on a call, the first question is whose frame it was.
Every message says what was got, what was expected, and what to do next; where the system said it,
`in_words`.
"""

import os


class LlmwsError(Exception):
    """The base of every error that this package raises on purpose."""


class ProtocolError(LlmwsError):
    """A frame broke the protocol; the subclass says on which side."""


class ServerProtocolError(ProtocolError):
    """Your server sent a frame that the platform would drop or hang up on."""


class NotJson(ServerProtocolError):
    """Your server sent text that is not JSON."""


class UnknownEvent(ServerProtocolError):
    """Your server sent a ``response_type`` that the platform does not know."""


class PlatformProtocolError(ProtocolError):
    """The peer that dialled you sent a frame that no platform sends."""


class ForeignFrame(PlatformProtocolError):
    """A frame that no platform can have sent: no text, no JSON, or no JSON object."""


class ResponderError(LlmwsError):
    """A responder had nothing to say where an answer was due."""


class ToolError(LlmwsError):
    """A tool could not do what the model asked for; the model reads the text."""


class BadSignature(LlmwsError):
    """A webhook that the platform did not sign just now; the text says what is wrong."""


class CannotConnect(LlmwsError):
    """A call that never came about; the text has the stage reached and the likely fix.

    Attributes:
        stage: the name of the stage in which it ended, such as "TCP"; empty before the first.
    """

    def __init__(self, text: str, *, stage: str = "") -> None:
        super().__init__(text)
        self.stage = stage


class UpstreamError(LlmwsError):
    """The scripted model fails as its script says, and as providers do."""


class UpstreamRefused(UpstreamError):
    """The scripted model refuses a request before the first chunk.

    Attributes:
        status: the HTTP status that a provider answers with.
    """

    def __init__(self, text: str, *, status: int) -> None:
        super().__init__(text)
        self.status = status


class UpstreamBroken(UpstreamError):
    """The scripted model's answer broke off, or holds what no client can read."""


class SetupError(LlmwsError):
    """This machine is not ready for what was asked; the text says what to change."""


class PortBusy(SetupError):
    """The port that was asked for belongs to another program."""


class TunnelError(SetupError):
    """The tunnel did not open; the text says why, without the token."""


class ScenarioError(SetupError):
    """A scenario that cannot be read; the text says where in its file, and why."""


def in_words(error: OSError) -> str:
    """The system's own words, without the path: an error text names that already."""
    return (os.strerror(error.errno) if error.errno else str(error)).lower()
