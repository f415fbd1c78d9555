"""The code on docs/server.md, run as it stands there."""

import asyncio
import re
from typing import Any

from llmws_tutorial.notebook import serve
from llmws_tutorial.notebook.doctor import PROJECT
from llmws_tutorial.server import Settings, create_app
from llmws_tutorial.simulator import CallRecord, place_call


def names_in_block(number: int) -> dict[str, Any]:
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "server.md").read_text(), re.S)
    names: dict[str, Any] = {}
    exec(blocks[number], names)
    return names


def call(app: Any) -> CallRecord:
    with serve(app, name="page", show_log=False) as server:
        return asyncio.run(place_call(server.websocket_url, ["That was all."]))


def test_the_first_server_answers() -> None:
    record = call(names_in_block(0)["app"])
    assert [said.content for said in record.transcript] == [
        "How may I help you?",
        "That was all.",
        "I see.",
    ]


def test_the_second_responder_hangs_up_once_its_farewell_is_spoken() -> None:
    record = call(create_app(names_in_block(1)["goodbye"], settings=Settings()))
    assert record.transcript[-1].content == "Thank you for calling. Good bye."
    assert record.disconnection_reason == "agent_hangup"
    assert '"no_interruption_allowed":true' in str(record.frames[-2].data)
