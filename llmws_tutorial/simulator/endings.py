"""Why a call ended: every disconnection_reason, in the platform's words.

Source: docs/protocol.md, section 6.
"""

from typing import Final

AGENT: Final = "agent_hangup"
"""The agent hung up: by end_call, or by closing with 1000."""
CALLER: Final = "user_hangup"
"""The caller hung up."""
TRANSFER: Final = "call_transfer"
"""The agent transferred the call."""
IDLE: Final = "inactivity"
"""Nobody said a word for long."""
TOO_LONG: Final = "max_duration_reached"
"""The call lasted as long as a call may."""
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
REASONS: Final = (
    AGENT,
    CALLER,
    TRANSFER,
    IDLE,
    TOO_LONG,
    OPEN,
    RUNTIME,
    LOST,
    CORRUPT,
    UNKNOWN,
)
"""All of them."""

ABNORMAL: Final = 1006
"""The close code of a connection that ended without a close frame."""
_BY_CODE: Final = {1000: AGENT, 1005: OPEN, 1007: CORRUPT}


def reason_of(close_code: int, going_away: str = RUNTIME) -> str:
    """The reason of a call whose socket closed with this code.

    Args:
        close_code: the code of the close frame; 1006 if there was none.
        going_away: the reason for 1001 and 1012, which no document tells.
    """
    if close_code in (1001, 1012):
        return going_away
    return _BY_CODE.get(close_code, RUNTIME)
