"""What can be set from outside: environment variables first, then ``.env``."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Limits and switches of a server; ``LLMWS_MAX_CALLS=50`` sets ``max_calls``.

    Attributes:
        secret: a path segment before the call id that callers must know; empty wants none.
        max_calls: calls at once; more are refused with HTTP 503.
        first_piece_s: how long a responder may take to its first piece (seconds).
        next_piece_s: how long it may take from piece to piece (seconds).
        facts_s: how long a greeting waits for the facts of the call (seconds).
        logs_transcripts: whether what was said may be logged; it is personal data.
    """

    model_config = SettingsConfigDict(env_prefix="LLMWS_", env_file=".env", extra="ignore")

    secret: str = ""
    max_calls: int = Field(default=1000, ge=1)
    first_piece_s: float = Field(default=8.0, gt=0)
    next_piece_s: float = Field(default=15.0, gt=0)
    facts_s: float = Field(default=2.0, gt=0)
    logs_transcripts: bool = False
