"""The URL of a server's calls: how it is dialled, what looks wrong with it.

Source: docs/protocol.md, section 1.
"""

import contextlib
import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from llmws_tutorial.errors import CannotConnect

_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_VARIABLE: Final = re.compile(r"\{\{(?!call_id)\w+\}\}")
_CALL_ID: Final = re.compile(r"call_\w*\d\w*|\{+call_id\}+|:call_id|<call_id>")
_PAGE: Final = re.compile(r"^dashboard\.|/(dashboard|docs|redoc|lab|tree)/?$|\.html?$")


def call_url(url: str, call_id: str) -> str:
    """Append a call id to a URL as the platform does: last segment, before any query.

    Raises:
        CannotConnect: when the URL cannot be dialled at all.
    """
    parts = dialled(url)
    path = f"{parts.path.rstrip('/')}/{quote(call_id, safe='')}"
    return urlunsplit(parts._replace(path=path))


def hints(url: str) -> list[str]:
    """Say what looks wrong with the URL of a server, each point with its repair.

    Args:
        url: where the server's calls live, without a call id, as somebody typed it.

    Returns:
        One phrase a point; an empty list for a URL that looks right.
    """
    found = [f"{name} is not filled in: write its value" for name in _VARIABLE.findall(url)]
    parts = _split(url)
    if parts is None:
        return found
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    host = parts.hostname or ""
    if not last:
        found.append("the URL ends at the host: add the path of the calls, mostly /llm-websocket/")
    if _CALL_ID.fullmatch(last):
        found.append(f"the call id is appended for you: leave out {last!r}")
    if _PAGE.search(f"{host}{parts.path}"):
        found.append("this is the address of a web page: the path of the calls is wanted")
    if _SCHEMES[parts.scheme] == "wss" and _is_loopback(host):
        found.append(f"a server on this machine is called with ws://, not {parts.scheme}://")
    return found


def is_local(url: str) -> bool:
    """Whether a URL leads to this machine, or nowhere, as it cannot be dialled."""
    parts = _split(url)
    return parts is None or _is_loopback(parts.hostname or "")


def dialled(url: str) -> SplitResult:
    """The parts of a URL as the platform reads them: ws or wss, and no fragment.

    Raises:
        CannotConnect: when the URL cannot be dialled at all.
    """
    parts = _split(url)
    if parts is None:
        got = re.sub(r"(?s)^(\s*\w*://)?.*@", r"\1***@", url)  # no password in an error
        expected = "expected ws://host/llm-websocket/ or wss://host/llm-websocket/"
        raise CannotConnect("; ".join([f"cannot dial {got!r}: {expected}", *hints(url)]))
    return parts._replace(scheme=_SCHEMES[parts.scheme], fragment="")


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that can be dialled; None for any other."""
    with contextlib.suppress(ValueError):  # a bracket, a port or a name that cannot be
        parts = urlsplit(url.strip())
        if parts.scheme in _SCHEMES and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")
            return parts
    return None


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):  # a name
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
