"""Who may use the dashboard: this machine's own browser, with a token.

Three locks, each against another attack:

* the ``Host`` of every request must be a name of this machine, or one that was allowed: a page that
  lets its own name resolve to 127.0.0.1 (DNS rebinding) is refused;
* an ``Origin``, which browsers add to sockets and to what scripts fetch, must be that same host: a
  page elsewhere cannot connect across sites;
* the token: it comes in the fragment of the address, which no browser sends, and the page shows it
  in its first message. There is no cookie: cookies know no ports, and none would reach a page in
  an iframe of another site.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

ANY: Final = "*"
"""Stands for every host: for a dashboard that only a hub's proxy reaches."""
TOKEN_HEADER: Final = "x-llmws-token"  # noqa: S105
"""The header with which a proxy shows the token for its user."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Access:
    """The locks of one start of the dashboard.

    Attributes:
        token: what a page has to show.
        hosts: further names under which the dashboard is reached, beside this machine's own.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    hosts: frozenset[str] = frozenset()

    def refusal(self, host: str, origin: str | None) -> str | None:
        """Why a request is refused, in words; None when it is let in.

        Args:
            host: its ``Host`` header; empty when there is none.
            origin: its ``Origin`` header; None when there is none.
        """
        name = _name(host)
        if name is None or not (_is_own(name) or name in self.hosts or ANY in self.hosts):
            return (
                f"this dashboard is not called {host[:100]!r}: open it at http://127.0.0.1, "
                "or start it with --allow-host"
            )
        if origin is not None and _place(origin) != host.lower():
            return f"a page of {origin[:100]!r} may not use this dashboard"
        return None

    def opens(self, token: str) -> bool:
        """Whether this is the token, in constant time; an empty one opens nothing."""
        return bool(self.token) and hmac.compare_digest(
            token.encode(errors="replace"), self.token.encode()
        )


def guarded(app: App, access: Access) -> App:
    """Refuse what may not come in, before an app sees it."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
            refusal = access.refusal(headers.get(b"host", ""), headers.get(b"origin"))
            if refusal is not None:
                await _refuse(scope, refusal, send)
                return
        await app(scope, receive, send)

    return guard


async def _refuse(scope: Scope, why: str, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
        return
    text = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": text})
    await send({"type": "http.response.body", "body": why.encode()})


def hosts_of(names: Iterable[str]) -> frozenset[str]:
    """The names of hosts as `Access` compares them: lower case, without a port."""
    return frozenset(_name(name) or name for name in names)


def _name(host: str) -> str | None:
    """The name in a ``Host`` header, without its port; None for what is none."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:  # a bracket that is never closed
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _place(origin: str) -> str | None:
    """The host and port of an ``Origin``; None for what is none, empty for ``null``."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_own(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
