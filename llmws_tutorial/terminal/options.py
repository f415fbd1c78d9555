"""What `llmws check` can be told; wrong use is found before anything runs."""

import math
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from llmws_tutorial.checks import Profile, Severity
from llmws_tutorial.checks.probe import PATIENCE_S
from llmws_tutorial.errors import SetupError, in_words

LEAST_TIMEOUT_S: Final = 0.1
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COUNTED: Final = {1: "first", 2: "second", 3: "third"}
_VALUE: Final = re.compile(r"[ -~]+")


class FailOn(StrEnum):
    """From which severity on a failure counts."""

    ERROR = "error"
    WARNING = "warning"

    @property
    def severity(self) -> Severity:
        """The same, as the cases have it."""
        return Severity[self.name]


Url = Annotated[str | None, typer.Argument(help="Where calls arrive: ws://host/llm-websocket/")]
Prefixes = Annotated[
    list[str] | None, typer.Argument(help="Topics or ids, such as turns/1; none: all checks.")
]
OfProfile = Annotated[
    Profile | None, typer.Option(help="The form of the protocol to hold it to; none: current.")
]
IsList = Annotated[
    bool, typer.Option("--list", help="Print which checks there are; no URL, nothing runs.")
]
Strict = Annotated[bool, typer.Option("--strict", help="What is not strict is exit code 1.")]
FailsOn = Annotated[FailOn, typer.Option(help="From which severity on what failed is exit code 1.")]
Timeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="How long an answer may take, in seconds.")
]
Header = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help='A further header, as "Name: value"; repeat for more.'),
]
LlmPort = Annotated[
    int | None,
    typer.Option(metavar="PORT", help="Serve a scripted model on this port.", min=1, max=65535),
]
Start = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="Start the server by this, again when it goes down."),
]
Webhook = Annotated[
    str | None, typer.Option(metavar="URL", help="Where events arrive: http(s)://host/webhook")
]
WebhookKey = Annotated[
    str,
    typer.Option(envvar="LLMWS_WEBHOOK_KEY", help="The API key that webhooks are signed with."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON; what people read goes to stderr.")
]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")]
Html = Annotated[Path | None, typer.Option(help="Write a page for a browser to this file.")]
Github = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Print annotations for GitHub; where GITHUB_ACTIONS is true, by itself.",
    ),
]


Explained = Annotated[
    list[str] | None,
    typer.Argument(help="Topics or ids, such as turns/1; right: a whole server; none: the list."),
]


def read_headers(given: Iterable[str]) -> dict[str, str]:
    """Read headers; no error repeats a value, because it may be a secret.

    Raises:
        SetupError: when one is no header, or is there twice.
    """
    headers: dict[str, str] = {}
    for number, text in enumerate(given, 1):
        name, colon, value = (part.strip() for part in text.partition(":"))
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            fault = "is no header" if colon else "has no colon"
            which = f"the {_COUNTED.get(number, f'{number}th')} --header"
            raise SetupError(f'{which} {fault}: expected "Name: value" in ASCII')
        if name.lower() in map(str.lower, headers):
            raise SetupError(f"the header {name} is there twice, expected it once")
        headers[name] = value
    return headers


def read_timeout(seconds: float) -> float:
    """Refuse a time that cannot be waited for.

    Raises:
        SetupError: when it is too short or no number.
    """
    if not LEAST_TIMEOUT_S <= seconds < math.inf:
        raise SetupError(f"--timeout is {seconds:g}, expected {LEAST_TIMEOUT_S:g} seconds or more")
    return seconds


def check_writable(path: Path) -> None:
    """Make sure that a file can be written, and leave what is in it.

    Raises:
        SetupError: when it cannot.
    """
    try:
        path.open("ab").close()
    except OSError as error:
        raise SetupError(f"cannot write {path}: {in_words(error)}") from None


def write(path: Path, text: str) -> None:
    """Write a file that an option names.

    Raises:
        SetupError: when it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:  # the disk is full, or the folder has gone meanwhile
        raise SetupError(f"cannot write {path}: {in_words(error)}") from None


def repeated(
    timeout_s: float, headers: Iterable[str], llm: int | None, start: str | None
) -> tuple[str, ...]:
    """The options with which a check is run again; the values of headers are left out."""
    words = [] if timeout_s == PATIENCE_S else ["--timeout", f"{timeout_s:g}"]
    for name in headers:
        words += ["--header", f"{name}: ..."]
    words += ["--llm", str(llm)] if llm else []
    return (*words, *(["--start", start] if start else []))
