"""The signature of a webhook: how the platform makes it, and how to judge it.

``x-retell-signature: v=<milliseconds>,d=<64 hex digits>``, where the digits are HMAC-SHA256 of the
body and then the milliseconds, under an API key that both sides know.

Source: docs/protocol.md, section 9.
"""

import hashlib
import hmac
import re
import time
from typing import Final

from llmws_tutorial.errors import BadSignature, SetupError

SIGNATURE_HEADER: Final = "x-retell-signature"
WINDOW_MS: Final = 5 * 60 * 1000
"""How far the time of a signature may be from ours, either way."""
_SIGNATURE: Final = re.compile(r"v=([0-9]{1,15}),d=([0-9a-f]{64})")


def verify(body: bytes, api_key: str, signature: str | None, *, now_ms: int | None = None) -> None:
    """Make sure that the platform signed this body a moment ago.

    The order of the arguments is that of the platform's SDK, which returns False where this raises.

    Args:
        body: the raw body; JSON that was parsed and written again has other bytes.
        api_key: the key of your account that is marked for webhooks.
        signature: the header ``x-retell-signature``; None when there is none.
        now_ms: the time (milliseconds since 1970); None asks the clock.

    Raises:
        BadSignature: when it is missing, malformed, stale, from the future or forged.
        SetupError: when the API key is blank.
    """
    signed_ms, digest = read_signature(signature, now_ms)
    if not hmac.compare_digest(digest, _digest(body, api_key, signed_ms)):
        raise BadSignature(
            "forged signature, another body or another key made it; verify the raw body, "
            "with the API key that is marked for webhooks"
        )


def sign(body: bytes, api_key: str, now_ms: int) -> str:
    """Sign a body as the platform does: for tests, and for a stand-in of it.

    Args:
        body: the bytes that will be sent.
        api_key: the key that both sides know.
        now_ms: the time (milliseconds since 1970).

    Raises:
        SetupError: when the API key is blank.
    """
    return f"v={now_ms},d={_digest(body, api_key, str(now_ms))}"


def read_signature(signature: str | None, now_ms: int | None = None) -> tuple[str, str]:
    """Read a signature that says it was made just now; its digest is not judged.

    Called by: `verify`, and by a receiver before it reads the body of a stranger.

    Returns:
        The milliseconds and the digest, as they stand there.

    Raises:
        BadSignature: when it is missing, malformed, stale or from the future.
    """
    if not signature:
        raise BadSignature(f"missing signature, expected a header {SIGNATURE_HEADER}")
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        raise BadSignature("malformed signature, expected v=<milliseconds>,d=<64 hex digits>")
    signed_ms, digest = found.groups()
    age_ms = (time.time_ns() // 1_000_000 if now_ms is None else now_ms) - int(signed_ms)
    if abs(age_ms) > WINDOW_MS:
        problem = "stale signature, made" if age_ms > 0 else "signature from the future,"
        side = "ago" if age_ms > 0 else "ahead"
        raise BadSignature(
            f"{problem} {abs(age_ms) // 1000} s {side}, expected at most {WINDOW_MS // 1000}; "
            "compare the clock of this machine"
        )
    return signed_ms, digest


def require_key(api_key: str) -> None:
    """Refuse a blank API key, for with it anybody could sign.

    Raises:
        SetupError: when the API key is blank.
    """
    if not api_key.strip():
        raise SetupError("the API key is blank, expected the one that is marked for webhooks")


def _digest(body: bytes, api_key: str, signed_ms: str) -> str:
    require_key(api_key)
    mac = hmac.new(api_key.encode(), body, hashlib.sha256)
    mac.update(signed_ms.encode())
    return mac.hexdigest()
