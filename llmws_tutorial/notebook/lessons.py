"""The list of the lessons, from which the navigation and the map are made."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Lesson:
    """One notebook.

    Attributes:
        file: its file name in ``notebooks/``.
        title: what it is called.
        build: what you build in it.
        see: what you see at its end.
        minutes: how long it takes a developer who has not met the subject.
        lit: the parts of the picture that it is about.
    """

    file: str
    title: str
    build: str
    see: str
    minutes: int
    lit: tuple[str, ...]

    @property
    def number(self) -> int:
        """The number of the step."""
        return int(self.file[:2])


LESSONS: Final = (
    Lesson(
        "00_hear_it_first.ipynb",
        "Hear it first",
        "nothing yet: you run the finished agent",
        "a call that books, heard and read",
        5,
        ("caller", "voice platform", "your server"),
    ),
    Lesson(
        "01_endpoint.ipynb",
        "A WebSocket endpoint",
        "the route that a call connects to",
        "your Hello in the server's log",
        20,
        ("endpoint",),
    ),
    Lesson(
        "02_dummy_responder.ipynb",
        "A dummy responder",
        "the messages, and an agent without a model",
        "a greeting and an apology as frames",
        20,
        ("responder",),
    ),
    Lesson(
        "03_wiring.ipynb",
        "Wire the two together",
        "the server of the guide, complete",
        "a call that greets, answers, and survives",
        25,
        ("wiring",),
    ),
    Lesson(
        "04_tunnel_and_call.ipynb",
        "Open a tunnel and call",
        "a public address for your server",
        "a call to the address that you would paste",
        25,
        ("tunnel",),
    ),
    Lesson(
        "05_connect_your_llm.ipynb",
        "Connect your LLM",
        "a responder that streams a model",
        "the first sentence, long before the last",
        30,
        ("responder", "model"),
    ),
    Lesson(
        "06_interruptions.ipynb",
        "Interruptions",
        "today's protocol, and answers that can be given up",
        "a caller who interrupts, falls silent, loses the line",
        35,
        ("wiring", "responder"),
    ),
    Lesson(
        "07_tools_and_actions.ipynb",
        "Tools and actions",
        "a booking agent that also hangs up and transfers",
        "an appointment booked once, whatever happens",
        40,
        ("responder", "tools"),
    ),
)
"""Every lesson, in order."""


def table() -> str:
    """The map of the steps as a Markdown table, with links relative to ``notebooks/``."""
    rows = [
        f"| [{lesson.number:02} {lesson.title}]({lesson.file}) | {lesson.build} | {lesson.see} "
        f"| {lesson.minutes} |"
        for lesson in LESSONS
    ]
    return "\n".join(["| Step | You build | You see | Minutes |", "|---|---|---|---|", *rows])
