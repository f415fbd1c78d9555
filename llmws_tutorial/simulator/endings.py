"""Why a call ended, in the platform's words.

Source: docs/protocol.md, section 6.
"""

from typing import Final

from llmws_tutorial.simulator.choices import Choices

OPEN: Final = "error_llm_websocket_open"
"""The socket never opened, or the server closed it without a code."""
RUNTIME: Final = "error_llm_websocket_runtime"
"""The socket broke, or the server closed it with a code of an error."""
LOST: Final = "error_llm_websocket_lost_connection"
"""The server's heartbeat stopped, or it could not be dialled again."""
CORRUPT: Final = "error_llm_websocket_corrupt_payload"
"""The server sent what no server may send."""
UNKNOWN: Final = "error_unknown"
"""Something that no document foresees."""
ABNORMAL: Final = 1006
"""The close code of a connection that ended without a close frame."""
_BY_CODE: Final = {1000: "agent_hangup", 1005: OPEN, 1007: CORRUPT}


def reason_of(close_code: int, choices: Choices) -> str:
    """The disconnection_reason of a call whose socket closed with this code."""
    if close_code in (1001, 1012):
        return choices.going_away_reason
    return _BY_CODE.get(close_code, RUNTIME)
