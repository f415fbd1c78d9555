"""The URL of a server's calls: how it is dialled, and what is said about one that looks wrong."""

import pytest

from llmws_tutorial.errors import CannotConnect
from llmws_tutorial.simulator.address import call_url, hints, is_local


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("ws://host/llm-websocket/", "ws://host/llm-websocket/c1"),
        ("ws://host/llm-websocket", "ws://host/llm-websocket/c1"),
        ("ws://host/llm-websocket//", "ws://host/llm-websocket/c1"),
        ("ws://host", "ws://host/c1"),
        ("wss://host:8/x/?key=a/b&k=c", "wss://host:8/x/c1?key=a/b&k=c"),
        ("http://host/x/", "ws://host/x/c1"),
        ("HTTPS://host/x/", "wss://host/x/c1"),
        (" ws://[::1]:8/x/\n", "ws://[::1]:8/x/c1"),
        ("ws://host/x/#there", "ws://host/x/c1"),
    ],
)
def test_the_call_id_is_appended_as_the_last_segment(url: str, dialled: str) -> None:
    assert call_url(url, "c1") == dialled


def test_a_call_id_stays_one_segment() -> None:
    assert call_url("ws://host/x/", "a/b c?d") == "ws://host/x/a%2Fb%20c%3Fd"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/llm-websocket/",
        "ftp://host/",
        "ws:///llm-websocket/",
        "ws://:3000/",
        "ws://[::1/",
        "ws://host:http/",
        "ws://host:65536/",
        "ws://host:0/",
        "ws://a..b/",
        f"ws://{'a' * 64}.example/",
    ],
)
def test_a_url_that_cannot_be_dialled_is_named_with_an_example(url: str) -> None:
    with pytest.raises(CannotConnect) as caught:
        call_url(url, "c1")
    said = f"cannot dial {url!r}: expected ws://host/llm-websocket/ or wss://host/llm-websocket/"
    assert (str(caught.value), caught.value.stage) == (said, "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://anna:secret@[::1/x/", "'ws://***@[::1/x/'"),
        ("ws://anna:sec/ret@host/x/", "'ws://***@host/x/'"),
        ("anna:secret@host/x/", "'***@host/x/'"),
        (" ftp://anna:sec\nret@host", "' ftp://***@host'"),
    ],
)
def test_a_password_in_a_url_that_cannot_be_dialled_is_not_repeated(url: str, shown: str) -> None:
    with pytest.raises(CannotConnect) as caught:
        call_url(url, "c1")
    assert str(caught.value).startswith(f"cannot dial {shown}: expected ")


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:3000/llm-websocket/",
        "http://localhost:3000/llm-websocket",
        "https://x.ngrok-free.app/llm-websocket/?key=1",
        "wss://10.0.0.1/call_center/",
        "wss://localhost.example/docs/calls/",
    ],
)
def test_a_url_that_looks_right_wants_no_repair(url: str) -> None:
    assert hints(url) == []


@pytest.mark.parametrize(
    ("url", "repair"),
    [
        ("ws://host", "the URL ends at the host: add the path of the calls"),
        ("ws://host/?key=1", "the URL ends at the host: add the path of the calls"),
        ("ws://host/x/call_5f2a/", "the call id is appended for you: leave out 'call_5f2a'"),
        ("ws://host/x/{call_id}", "the call id is appended for you: leave out '{call_id}'"),
        ("ws://host/x/%7Bcall_id%7D", "the call id is appended for you: leave out '{call_id}'"),
        ("ws://host/x/{{call_id}}/", "the call id is appended for you: leave out '{{call_id}}'"),
        ("ws://host/x/:call_id", "the call id is appended for you: leave out ':call_id'"),
        ("ws://host/{{town}}/x/", "{{town}} is not filled in: write its value"),
        ("ws://host:{{port}}/x/", "{{port}} is not filled in: write its value"),
        ("https://dashboard.example.com/agents", "this is the address of a web page"),
        ("http://host:3000/docs", "this is the address of a web page"),
        ("http://host/call.html", "this is the address of a web page"),
        ("wss://127.0.0.1:3000/x/", "a server on this machine is called with ws://, not wss://"),
        ("wss://[::1]:3000/x/", "a server on this machine is called with ws://, not wss://"),
        ("https://localhost/x/", "a server on this machine is called with ws://, not https://"),
        ("wss://my.localhost/x/", "a server on this machine is called with ws://, not wss://"),
    ],
)
def test_what_looks_wrong_with_a_url_is_said_with_its_repair(url: str, repair: str) -> None:
    [hint] = hints(url)
    assert hint.startswith(repair)


def test_a_url_with_two_faults_has_two_hints() -> None:
    assert len(hints("wss://localhost/")) == 2


def test_a_url_that_cannot_be_dialled_comes_with_its_hints() -> None:
    with pytest.raises(CannotConnect, match=r"; \{\{port\}\} is not filled in: write its value$"):
        call_url("ws://host:{{port}}/x/", "c1")


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("ws://127.0.0.1:3000/x/", True),
        ("wss://[::1]/x/", True),
        ("http://LOCALHOST:3000/x/", True),
        ("ws://my.localhost/x/", True),
        ("ws://localhost.example.com/x/", False),
        ("ws://127.0.0.1@example.com/x/", False),
        ("ws://10.0.0.1/x/", False),
        ("ws://0.0.0.0/x/", False),
        ("ftp://example.com/", True),  # it cannot be dialled
        ("", True),
    ],
)
def test_whether_a_url_leads_to_this_machine(url: str, is_so: bool) -> None:
    assert is_local(url) is is_so
