"""The command that serves a scripted model: what it prints, and how it ends."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.test_cli import child, complaint, llmws, press_ctrl_c, read_until

SCRIPT = """
- when: sing
  steps: [say: "La ", hang]
- when: too many
  status: 429
"""


def ask(url: str, said: str, *, has_time: bool = True) -> Any:
    async def talk() -> Any:
        options: Any = {} if has_time else {"timeout": 0.2}
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0, **options) as client:
            return await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": said}]
            )

    return asyncio.run(talk())


def test_it_says_how_each_request_ended(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    with child("llm", str(script), "--port", "0") as process:
        url = read_until(process, r"^export OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+/v1)$")
        read_until(process, "^export OPENAI_API_KEY=none$")
        ask(url, "[bold]\x1b[2J Hello")
        read_until(process, r"^finished after \d+ ms, no script: \[bold\]\\x1b\[2J Hello$")
        with pytest.raises(openai.APITimeoutError):
            ask(url, "Sing!", has_time=False)
        read_until(process, r"^aborted after \d+ ms, script 1: Sing!$")
        with pytest.raises(openai.RateLimitError):
            ask(url, "Too many?")
        read_until(process, r"^refused after 0 ms, script 2 \(scripted: HTTP 429\): Too many\?$")
        ask(url, "")
        read_until(process, r"^finished after \d+ ms, no script: \(nothing\)$")
        assert press_ctrl_c(process) == "stopped\n"
    assert process.returncode == 0


def test_with_json_its_output_is_one_object_a_request() -> None:
    with child("llm", "--json", "--port", "0") as process:
        url = read_until(process, r"^export OPENAI_BASE_URL=(http\S+)$")
        ask(url, "Hello?")
        told = json.loads(read_until(process, "^{.*}$"))
        assert (told["outcome"], told["said"], told["when"]) == ("finished", "Hello?", None)
        assert told["request"]["messages"][-1]["content"] == "Hello?"
        press_ctrl_c(process)


def test_a_file_that_is_wrong_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("- steps: [hangs]\n")
    assert llmws("llm", str(script)) == 2
    assert complaint(capsys) == (f"llmws: {script}:1:11: unknown key 'hangs', did you mean 'hang'?")


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert llmws("llm", "--port", str(port)) == 2
    assert f"port {port} at 127.0.0.1 cannot be had" in complaint(capsys)
