"""Who is let in: decided from the handshake alone, before any call exists.

A platform brings no key, so there is little to look at: whether a browser asks, by which name the
server was called, the secret in the path, and the call id. A call whose socket was lost is known
for a while, because the platform dials it again, and its caller must not be greeted twice.

Source: docs/protocol.md, sections 1 and 6.
"""

import hmac
import re
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import Final

from llmws_tutorial.server.settings import Settings

RECONNECT_S: Final = 60.0
"""How long the platform may take to dial a call again whose socket it lost."""
REFUSALS: Final = {
    403: "a socket from a browser, with a wrong path, or with an odd call id",
    421: "a socket whose Host is no name of this server; LLMWS_HOSTS lists them",
    503: "a socket beyond the most calls at once; LLMWS_MAX_CALLS says how many",
}
"""Why a socket is refused, by HTTP status."""
LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "testserver"})
"""The names of a server that only its own machine reaches; the last is Starlette's TestClient."""
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PORT: Final = re.compile(r":\d*$")


class Reception:
    """Lets calls in or refuses them, and knows those that were here a moment ago."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = monotonic) -> None:
        """Prepare to let calls in.

        Args:
            settings: the secret, the names of the server, the most calls at once.
            clock: the time (seconds).
        """
        self._settings = settings
        self._clock = clock
        self._hosts = LOCAL_HOSTS | set(re.split(r"[\s,]+", settings.hosts.lower())) - {""}
        self._lost: dict[str, float] = {}  # oldest first

    def refusal(
        self, path: str, headers: Mapping[str, str], open_calls: Collection[str]
    ) -> int | None:
        """The HTTP status to refuse a socket with; None lets it in.

        Args:
            path: what follows ``/llm-websocket/``: the secret, if there is one, and the call id.
            headers: those of the handshake, by their names in lower case.
            open_calls: the ids of the calls of this moment.
        """
        secret, _, call_id = path.rpartition("/")
        if "origin" in headers:
            return 403  # a browser sends it always, the platform never
        if not self._is_called_by(headers.get("host", "")):
            return 421
        if not hmac.compare_digest(secret.encode(), self._settings.secret.encode()):
            return 403
        if not _CALL_ID.fullmatch(call_id):
            return 403
        is_known = call_id in open_calls or call_id in self._lost
        return 503 if len(open_calls) >= self._settings.max_calls and not is_known else None

    def has_lost(self, call_id: str) -> None:
        """Take note that the socket of a call is gone, and the call perhaps is not."""
        self._lost.pop(call_id, None)
        self._lost[call_id] = self._clock()

    def was_here(self, call_id: str) -> bool:
        """Whether a call comes back whose socket was lost a moment ago."""
        oldest = self._clock() - RECONNECT_S
        while self._lost and next(iter(self._lost.values())) < oldest:
            del self._lost[next(iter(self._lost))]
        return self._lost.pop(call_id, None) is not None

    def _is_called_by(self, host: str) -> bool:
        """Whether this is a name of this server; with a secret and no list, any name is."""
        is_any_fine = bool(self._settings.secret) and not self._settings.hosts
        return is_any_fine or _PORT.sub("", host.lower()) in self._hosts
