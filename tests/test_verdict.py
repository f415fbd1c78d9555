"""What one frame is, before anybody asks what it means for the call."""

import gc
import json

from hypothesis import given
from hypothesis import strategies as st

from llmws_tutorial.messages import Pong, Response
from llmws_tutorial.simulator.verdict import Drop, Dropped, read_frame


def test_a_message_is_read() -> None:
    assert read_frame('{"response_type": "ping_pong", "timestamp": 1}') == Pong(timestamp=1)
    assert isinstance(
        read_frame('{"response_id": 1, "content": "", "content_complete": true}'), Response
    )


@given(st.text() | st.binary())
def test_no_frame_raises_anything(frame: str | bytes) -> None:
    read = read_frame(frame)
    assert isinstance(read, Dropped)
    assert read.kind in (Drop.BINARY, Drop.NOT_JSON, Drop.MISTYPED, Drop.UNKNOWN_EVENT)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_that_is_no_message_is_mistyped(value: object) -> None:
    read = read_frame(json.dumps(value))
    assert isinstance(read, Dropped)
    assert read.kind is Drop.MISTYPED


def test_a_frame_that_is_dropped_is_not_kept_by_an_error() -> None:
    gc.collect()
    read_frame("{")
    assert gc.collect() == 0
