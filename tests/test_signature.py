"""The signature of a webhook: what is signed is believed for a while, and nothing else is."""

import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.errors import BadSignature, SetupError
from llmws_tutorial.messages.signature import WINDOW_MS, read_signature, sign, verify

KEY = "test-api-key"
NOW_MS = 1_700_000_000_000
VECTOR = "07024cabe7dd8f6d1c6e4a8324ca92c812e6ad4a7ee506c04f7e462e3321823e"
ENDED = b'{"event":"call_ended"}'


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


def test_the_published_vector_is_signed_and_verified() -> None:
    assert sign(ENDED, KEY, NOW_MS) == f"v={NOW_MS},d={VECTOR}"
    verify(ENDED, KEY, f"v={NOW_MS},d={VECTOR}", now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        (VECTOR, "malformed"),
        (f"v={NOW_MS},d={VECTOR[1:]}", "malformed"),
        (f"v={NOW_MS},d={VECTOR}0", "malformed"),
        (f"v={NOW_MS},d={VECTOR.upper()}", "malformed"),
        (f"v={NOW_MS},d={VECTOR}\n", "malformed"),
        (f"v=-{NOW_MS},d={VECTOR}", "malformed"),
        (f"v={chr(0x661)},d={VECTOR}", "malformed"),
        (f"v={'9' * 10_000},d={VECTOR}", "malformed"),
        (f"v={NOW_MS},d={VECTOR[::-1]}", "forged"),
        (f"v={NOW_MS + 1},d={VECTOR}", "forged"),
        (f"v=0{NOW_MS},d={VECTOR}", "forged"),
    ],
)
def test_a_bad_signature_says_what_is_wrong(signature: str | None, reason: str) -> None:
    with pytest.raises(BadSignature, match=f"^{reason} signature"):
        verify(ENDED, KEY, signature, now_ms=NOW_MS)


@pytest.mark.parametrize(("later_ms", "reason"), [(1, "^stale"), (-1, "from the future")])
def test_a_signature_holds_for_five_minutes_either_way(later_ms: int, reason: str) -> None:
    signature = sign(ENDED, KEY, NOW_MS)
    edge_ms = NOW_MS + later_ms * WINDOW_MS
    assert WINDOW_MS == 300_000
    verify(ENDED, KEY, signature, now_ms=edge_ms)
    with pytest.raises(BadSignature, match=reason):
        verify(ENDED, KEY, signature, now_ms=edge_ms + later_ms)


def test_without_a_time_the_clock_is_asked() -> None:
    verify(ENDED, KEY, sign(ENDED, KEY, clock_ms()))
    with pytest.raises(BadSignature, match="stale"):
        verify(ENDED, KEY, sign(ENDED, KEY, clock_ms() - WINDOW_MS - 1))


@given(st.binary(max_size=64), st.binary(max_size=64), st.integers(0, 10**15 - 1))
def test_a_signature_fits_its_own_bytes_and_no_others(one: bytes, two: bytes, now_ms: int) -> None:
    signature = sign(one, KEY, now_ms)
    verify(one, KEY, signature, now_ms=now_ms)
    if one != two:
        with pytest.raises(BadSignature, match="forged"):
            verify(two, KEY, signature, now_ms=now_ms)


def test_a_signature_is_read_before_there_is_a_body() -> None:
    assert read_signature(f"v={NOW_MS},d={VECTOR}", NOW_MS) == (str(NOW_MS), VECTOR)


@pytest.mark.parametrize("key", ["", " \n"])
def test_with_a_blank_key_nothing_is_signed_or_believed(key: str) -> None:
    signature = f"v={NOW_MS},d={hmac.new(key.encode(), ENDED, hashlib.sha256).hexdigest()}"
    with pytest.raises(SetupError, match="blank"):
        sign(ENDED, key, NOW_MS)
    with pytest.raises(SetupError, match="blank"):
        verify(ENDED, key, signature, now_ms=NOW_MS)
