"""What a page may ask: read from JSON, or refused in words."""

import json
from typing import Any, get_args

import pytest

from llmws_tutorial.dashboard import commands
from llmws_tutorial.dashboard.commands import AnyCommand, read_command
from llmws_tutorial.dashboard.desk import Desk
from llmws_tutorial.errors import SetupError


def command(kind: str, /, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (command("hello", token="x"), commands.Hello(token="x")),
        (command("call", url="ws://x/"), commands.Call(url="ws://x/", confirmed=False)),
        (command("hang_up"), commands.HangUp()),
        (command("skip_silence"), commands.SkipSilence()),
        (command("press", digits="*1#"), commands.Press(digits="*1#")),
        (command("use_voice", kind="kit"), commands.UseVoice(kind="kit")),
        (command("go_wrong", kind="slow"), commands.GoWrong(kind="slow", seconds=3.0)),
        (
            command("check", url="ws://x/", prefixes=["a"]),
            commands.Check(url="ws://x/", prefixes=["a"]),
        ),
    ],
)
def test_a_command_is_read(text: str, read: AnyCommand) -> None:
    assert read_command(text) == read


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "truncated"),
        ("{}", "missing required field `type`"),
        ("null", "Expected `object`"),
        (command("fly"), "Invalid value 'fly'"),
        (command("Hello"), "Invalid value 'Hello'"),
        (command("say"), "missing required field `text`"),
        (command("say", text=1), "Expected `str`, got `int`"),
        (command("say", text="x", loud=True), "unknown field `loud`"),
        (command("say", text="x" * (commands.MOST_CHARACTERS + 1)), "length <= "),
        (command("call", url="x" * 2001), "length <= 2000"),
        (command("press", digits=""), "matching regex"),
        (command("press", digits="1a"), "matching regex"),
        (command("press", digits="1\n"), "matching regex"),
        (command("go_wrong", kind="explode"), "Invalid enum value 'explode'"),
        (command("go_wrong", kind="slow", seconds=-1), ">= 0"),
        (command("go_wrong", kind="slow", seconds=1e9), "<= 3600"),
        ('{"type": "go_wrong", "kind": "slow", "seconds": NaN}', "malformed"),
        (command("spoken", piece=-1, words=0), ">= 0"),
        (command("play", name="x", url="", speed=0), "> 0"),
        ('{"type": "say", "text": "\ud800"}', "surrogates"),
        (f'{{"type": {"[" * 100_000}', "recursion"),
        (command("x" * 100_000), "Invalid value 'xxx"),
        (f'{{"type": "say", "text": {"[" * 100_000}', "Expected `str`, got `array`"),
    ],
)
def test_what_is_no_command_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(
        SetupError, match=r"^the page sent what is no command: .*; reload it$"
    ) as no:
        read_command(text)
    assert why in str(no.value)
    assert len(str(no.value)) < 400


def test_the_desk_has_an_answer_to_every_command() -> None:
    assert set(Desk._DO) == set(get_args(AnyCommand))
