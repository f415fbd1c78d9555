"""What there is to try, and what somebody may say who does not know what to say."""

from typing import Final

PHRASES: Final = (
    "Hello, who is there?",
    "Can you hear me?",
    "Are you open on Sunday?",
    "I would like to book an appointment.",
    "No, wait, I meant Tuesday.",
    "That is all, thank you. Good bye.",
)
"""What a caller may say with one click."""

TRIES: Final = (
    {"id": "call", "text": "Make a web call, and hear the agent greet you."},
    {"id": "say", "text": "Say something, and watch the request go out and the answer come in."},
    {"id": "interrupt", "text": "Talk over the agent: the rest of its words is never heard."},
    {"id": "silence", "text": "Stay silent until the platform asks for a reminder."},
    {"id": "frame", "text": "Open a frame: this is all that your server gets to see."},
    {"id": "drop", "text": "Drop the line: the platform dials again, and your server goes on."},
    {"id": "check", "text": "Run the checks: what is there to mend?"},
)
"""What to try, in order; a page ticks each off once it has happened."""
