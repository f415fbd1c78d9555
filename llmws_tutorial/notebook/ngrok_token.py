"""The token of an ngrok account: where it is found, and where one gets it."""

import os
from typing import Final

from dotenv import dotenv_values, find_dotenv

TOKEN_VARIABLE: Final = "NGROK_AUTHTOKEN"  # noqa: S105 - the name of a variable, not its value
TOKEN_PAGE: Final = "https://dashboard.ngrok.com/get-started/your-authtoken"  # noqa: S105


def find_token() -> str | None:
    """The ngrok token: an exported one wins, even a blank one; else that in ``.env``."""
    values = {**dotenv_values(find_dotenv(usecwd=True)), **os.environ}
    return (values.get(TOKEN_VARIABLE) or "").strip() or None
