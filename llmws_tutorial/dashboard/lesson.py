"""What there is to try, and what somebody may say who does not know what to say."""

from typing import Final

PHRASES: Final = (
    "Hello, who is there?",
    "Can you hear me?",
    "Are you open on Sunday?",
    "May I come tomorrow at ten?",
    "No, wait, I meant Tuesday.",
    "That is all, thank you. Good bye.",
)
"""What a caller may say with one click."""

TRIES: Final = (
    {
        "id": "call",
        "text": "Make a web call, and hear the agent greet you.",
        "why": "Nobody has asked yet when the first message is due: a server that waits for a "
        "request leaves its caller in silence.",
    },
    {
        "id": "say",
        "text": "Say something, and watch the request go out and the answer come in.",
        "why": "Each request carries the whole transcript; the answer counts only under the id of "
        "the latest request.",
    },
    {
        "id": "interrupt",
        "text": "Talk over the agent: the rest of its words is never heard.",
        "why": "The old request is dead from then on: a server that goes on generating pays for "
        "words that nobody hears.",
    },
    {
        "id": "silence",
        "text": "Stay silent until the platform asks for a reminder.",
        "why": "A reminder is a request like any other, with an id of its own; a server that "
        "knows only response_required says nothing.",
    },
    {
        "id": "frame",
        "text": "Open a frame: this is all that your server gets to see.",
        "why": "A server hears no sound and knows no call but by its frames: whoever reads them "
        "finds most bugs.",
    },
    {
        "id": "drop",
        "text": "Drop the line: the platform dials again, and your server goes on.",
        "why": "The new socket has the same call id: a server takes the call up again from the "
        "transcript of the next request, and keeps nothing in the old socket's handler.",
    },
    {
        "id": "check",
        "text": "Run the checks: what is there to mend?",
        "why": "A call shows what happens when all goes well; the checks try what happens when it "
        "does not.",
    },
)
"""What to try, in order, and why it matters; a page ticks each off once it has happened."""

READING: Final = (
    {"name": "00_hear_it_first.ipynb", "text": "a whole call and its transcript, in five cells"},
    {"name": "01_endpoint.ipynb", "text": "the route that a call connects to"},
    {"name": "02_dummy_responder.ipynb", "text": "the messages, and an agent without a model"},
    {"name": "03_wiring.ipynb", "text": "the server of the guide, complete"},
    {"name": "04_tunnel_and_call.ipynb", "text": "a public address for your server"},
    {"name": "05_connect_your_llm.ipynb", "text": "a responder that streams a model"},
    {"name": "06_interruptions.ipynb", "text": "answers that can be given up"},
    {"name": "07_tools_and_actions.ipynb", "text": "an agent that books, hangs up and transfers"},
)
"""The notebooks, and what is built in each."""
