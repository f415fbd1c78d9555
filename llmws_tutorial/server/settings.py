"""What can be set from outside: environment variables first, then ``.env``."""

from collections.abc import Iterator
from typing import Any, Final

from dotenv import find_dotenv
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from llmws_tutorial.errors import SetupError

MOST_CALLS: Final = 10_000
"""How many calls at once a server can be set to: what was done in more could not be remembered."""
MESSAGE_BYTES: Final = 2**20
"""The longest message unless told otherwise: an hour's transcript fits, with word times."""
BUDGET: Final = 24_000
"""How much of a call a model is told unless told otherwise (characters): about half an hour."""
LEAST_BUDGET: Final = 400
"""The smallest budget that holds the notes to a model and some words."""


class _FromOutside(BaseSettings):
    """Settings that say which variable does not fit, and why."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            prefix = self.model_config["env_prefix"]
            raise SetupError("; ".join(_problems(error, prefix))) from None


class Settings(_FromOutside):
    """Limits and switches of a server; ``LLMWS_MAX_CALLS=50`` sets ``max_calls``.

    Attributes:
        secret: a path segment before the call id that callers must know; empty wants none.
        hosts: names, with commas between, that this server is called by; with neither a secret nor
            a name here, only this machine's own (127.0.0.1, localhost) are answered.
        max_calls: calls at once, at most `MOST_CALLS`; more are refused with HTTP 503.
        message_bytes: the longest message that ``llmws serve`` takes: an hour's transcript fits.
        first_piece_s: how long a responder may take to its first piece (seconds).
        next_piece_s: how long it may take from piece to piece (seconds).
        settle_s: how long a request is held back before a generation starts, so that a burst of
            requests starts only one (seconds).
        facts_s: how long a greeting waits for the facts of the call (seconds).
        call_s: how long a call may last (seconds).
        logs_json: whether ``llmws serve`` logs lines of JSON.
        logs_transcripts: whether what was said may be logged; it is personal data.
    """

    model_config = SettingsConfigDict(env_prefix="LLMWS_", env_file=".env", extra="ignore")

    secret: str = ""
    hosts: str = ""
    max_calls: int = Field(default=1000, ge=1, le=MOST_CALLS)
    message_bytes: int = Field(default=MESSAGE_BYTES, ge=2**16)
    first_piece_s: float = Field(default=8.0, gt=0)
    next_piece_s: float = Field(default=15.0, gt=0)
    settle_s: float = Field(default=0.01, ge=0)
    facts_s: float = Field(default=2.0, gt=0)
    call_s: float = Field(default=3600.0, gt=0)
    logs_json: bool = False
    logs_transcripts: bool = False


class ModelSettings(_FromOutside):
    """Which model speaks, and where; what is empty counts as not set.

    ``.env`` is looked for in this folder and in those above it, so that notebooks find it.

    Attributes:
        base_url: the endpoint, such as http://127.0.0.1:11434/v1; empty is OpenAI's own.
        api_key: the key; an endpoint of your own may need none.
        model: the model's name at its provider.
        budget: how much of a call the model is told, without the prompt (characters); 24,000 are
            some 6,000 tokens, and half an hour.
    """

    model_config = SettingsConfigDict(env_prefix="OPENAI_", env_ignore_empty=True, extra="ignore")

    base_url: str = ""
    api_key: SecretStr = SecretStr("")
    model: str = ""
    budget: int = Field(default=BUDGET, ge=LEAST_BUDGET, validation_alias="LLMWS_BUDGET")

    def __init__(self, **values: Any) -> None:
        """Take what is given, then the environment, then the ``.env`` that is found."""
        super().__init__(_env_file=find_dotenv(usecwd=True) or None, **values)


def _problems(error: ValidationError, prefix: str) -> Iterator[str]:
    """Each setting that does not fit, by the name of its variable."""
    for problem in error.errors():
        name = str(problem["loc"][0]).upper()
        variable = name if name.startswith(("LLMWS_", "OPENAI_")) else f"{prefix}{name}"
        expected = problem["msg"].replace("Input should be", "expected it to be")
        yield f"{variable} is {problem['input']!r:.80}, {expected}"
