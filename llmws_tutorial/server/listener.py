"""The listener: uvicorn configured for phone calls, with every limit named."""

import gc
import logging
import socket
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from llmws_tutorial.server.guards import CallSocket, guarded
from llmws_tutorial.server.log import JsonLines, tidy
from llmws_tutorial.server.settings import MESSAGE_BYTES, Settings

DRAIN_S: Final = 5
"""How long open calls may go on when the server is told to stop."""
GARBAGE_THRESHOLD: Final = 10_000
"""How many new objects make Python look for garbage; its default pauses every busy call."""


def configure(app: Any, *, drain_s: float = DRAIN_S, **options: Any) -> uvicorn.Config:
    """Configure uvicorn for an app that holds calls.

    Compression is off: it costs more than it saves on frames this small. What a hostile peer could
    do to uvicorn itself is in `guards`.

    Args:
        app: an ASGI app.
        drain_s: how long open calls may go on at shutdown (seconds).
        options: further ones of `uvicorn.Config`.
    """
    config = uvicorn.Config(
        app,
        **{
            "http": guarded(AutoHTTPProtocol),
            "ws": CallSocket,
            "ws_max_size": MESSAGE_BYTES,
            "ws_per_message_deflate": False,
            "timeout_graceful_shutdown": drain_s,
            **options,
        },
    )
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).addFilter(tidy)
    return config


def run(
    app: Any, listener: socket.socket, settings: Settings | None = None, **options: Any
) -> None:
    """Serve an app on a bound socket until Ctrl-C, with rare and short garbage pauses.

    Args:
        app: an ASGI app.
        listener: the socket.
        settings: how long messages may be, and how to log; None reads the environment.
        options: further ones of `uvicorn.Config`.
    """
    settings = settings or Settings()
    # of uvicorn's own lines, one a connection would be a seventh of what a connection costs
    options = {"log_level": "warning", "ws_max_size": settings.message_bytes, **options}
    config = configure(app, **options)
    server = uvicorn.Server(config)
    if settings.logs_json:
        for handler in logging.getLogger("uvicorn").handlers:
            handler.setFormatter(JsonLines())
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 10, 100)
    server.run(sockets=[listener])
