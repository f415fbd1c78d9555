"""Who may use the dashboard."""

import pytest

from llmws_tutorial.dashboard.access import ANY, Access, hosts_of

OURS = ("127.0.0.1:3001", "127.9.9.9", "localhost:80", "LOCALHOST", "[::1]:3001", "page.localhost")
THEIRS = (
    "",
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1/evil",
    "127.0.0.1?evil",
    "192.168.0.1",
    "0.0.0.0",
    "[::1",
    "[::]",
)


@pytest.mark.parametrize("host", OURS)
def test_this_machine_is_let_in(host: str) -> None:
    assert Access().refusal(host, None) is None
    assert Access().refusal(host, f"http://{host.lower()}") is None


@pytest.mark.parametrize("host", THEIRS)
def test_another_name_is_refused_with_the_fix(host: str) -> None:
    assert Access().refusal(host, None) == (
        f"this dashboard is not called {host!r}: open it at http://127.0.0.1, "
        "or start it with --allow-host"
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3002",
        "http://localhost",
        "null",
        "",
        "http://[",
        "file://",
        "localhost:3001",
    ],
)
def test_a_page_of_another_place_is_refused(origin: str) -> None:
    refusal = Access().refusal("localhost:3001", origin)
    assert refusal == f"a page of {origin!r} may not use this dashboard"


def test_a_long_name_is_cut() -> None:
    assert len(str(Access().refusal("x" * 10_000, None))) < 250
    assert len(str(Access().refusal("localhost", "x" * 10_000))) < 250


def test_further_names_are_let_in_and_only_those() -> None:
    access = Access(hosts=hosts_of(["Hub.Example:8000", "[fe80::1]:1"]))
    assert access.refusal("hub.example", None) is None
    assert access.refusal("[fe80::1]:99", None) is None
    assert access.refusal("hub.example.evil", None)
    assert Access(hosts=hosts_of([ANY])).refusal("anything.example", None) is None
    assert hosts_of(["[::1"]) == {"[::1"}


def test_the_token_opens_and_nothing_else_does() -> None:
    access = Access()
    assert access.opens(access.token)
    for wrong in ("", access.token[:-1], f"{access.token} ", "\ud800", "é"):
        assert not access.opens(wrong)


def test_each_start_has_a_token_of_its_own_that_no_repr_shows() -> None:
    first, second = Access(), Access()
    assert first.token != second.token
    assert len(first.token) >= 32
    assert first.token not in repr(first)


def test_an_empty_token_opens_nothing() -> None:
    assert not Access(token="").opens("")
