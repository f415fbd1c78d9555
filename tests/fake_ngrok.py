#!/usr/bin/env python3
"""A stand-in for the ngrok agent, for driving pyngrok without the agent or its service.

It is started, speaks and ends as the agent does: ``ngrok start --none --log stdout --config
FILE``, logfmt lines on standard output, then an API with ``/api/endpoints``. The addresses that it
hands out are on this machine and really forward, byte by byte, so HTTP and WebSocket both work.

What it does depends on the token in its configuration file: one that starts with ``unverified``,
``unknown``, ``offline``, ``silent``, ``crowded`` or ``rude`` plays that trouble.
"""

import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

REFUSALS = {
    "unverified": "authentication failed: Usage of ngrok requires a verified account and authtoken."
    "\\n\\nSign up for an account: https://dashboard.ngrok.com/signup\\nERR_NGROK_4018\\r\\n",
    "unknown": "authentication failed: The authtoken you specified is properly formed, but it is "
    "invalid.\\nYour authtoken: {token}\\nERR_NGROK_107\\r\\n",
}
NO_UPSTREAM = b"""HTTP/1.1 502 Bad Gateway\r
Content-Length: 14\r
Ngrok-Error-Code: ERR_NGROK_8012\r
Connection: close\r
\r
ERR_NGROK_8012"""


def say(level: str, message: str, **fields: str) -> None:
    """Write one line of log as the agent does."""
    extra = "".join(f' {key}="{value}"' for key, value in fields.items())
    print(f't=2026-01-01T00:00:00+0000 lvl={level} msg="{message}"{extra}', flush=True)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way until the source ends."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


class Endpoint:
    """A public address that leads to one upstream."""

    def __init__(self, name: str, upstream: str) -> None:
        self.name = name
        self.upstream = upstream
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def as_json(self) -> dict[str, object]:
        """The endpoint as the API shows it."""
        port = self.listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        return {"name": self.name, "url": url, "upstream": {"url": self.upstream}}

    def accept(self) -> None:
        """Forward every connection, until the listener is closed."""
        target = urlsplit(self.upstream)
        while True:
            try:
                public, _ = self.listener.accept()
            except OSError:
                return
            try:
                private = socket.create_connection((target.hostname, target.port), timeout=5)
            except OSError:
                public.recv(65536)
                public.sendall(NO_UPSTREAM)
                public.close()
                continue
            private.settimeout(None)
            threading.Thread(target=pump, args=(public, private), daemon=True).start()
            threading.Thread(target=pump, args=(private, public), daemon=True).start()


class Api(BaseHTTPRequestHandler):
    """The agent's API, as far as pyngrok uses it."""

    endpoints: ClassVar[dict[str, Endpoint]] = {}
    refusal = ""

    def do_GET(self) -> None:
        """List the endpoints."""
        self.reply(200, {"endpoints": [item.as_json() for item in self.endpoints.values()]})

    def do_POST(self) -> None:
        """Open an endpoint."""
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refusal:
            self.reply(502, {"error_code": 103, "details": {"err": self.refusal}})
            return
        endpoint = Endpoint(wanted["name"], wanted["upstream"]["url"])
        self.endpoints[endpoint.name] = endpoint
        self.reply(201, endpoint.as_json())

    def do_DELETE(self) -> None:
        """Close an endpoint."""
        endpoint = self.endpoints.pop(self.path.rpartition("/")[2])
        endpoint.listener.shutdown(socket.SHUT_RDWR)
        endpoint.listener.close()
        self.reply(204, None)

    def reply(self, status: int, body: object) -> None:
        """Answer with JSON."""
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing: the agent's log is in logfmt."""


def end_with_parent(parent: int) -> None:
    """End when the process that started this one is gone."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def main() -> None:
    """Play the agent."""
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    arguments = sys.argv[1:]
    if arguments[:4] != ["start", "--none", "--log", "stdout"]:
        sys.exit(f"unknown command: {arguments}")
    config = json.loads(Path(arguments[arguments.index("--config") + 1]).read_text())
    token = config["agent"]["authtoken"]
    trouble = token.partition("-")[0]
    if trouble in REFUSALS:
        error = REFUSALS[trouble].format(token=token)
        say("eror", "session closing", obj="tunnels.session", err=error)
        sys.exit(1)
    while trouble == "offline":
        say("eror", "failed to reconnect session", err=f"dial tcp: no such host, {token}")
        time.sleep(0.1)
    while trouble == "silent":
        time.sleep(0.1)
    if trouble == "rude":
        sys.exit("no such option")
    if trouble == "crowded":
        Api.refusal = f"The endpoint of {token} is already online.\r\n\r\nERR_NGROK_334\r\n"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    say("info", "starting web service", obj="web", addr=f"127.0.0.1:{server.server_port}")
    say("info", "client session established", obj="csess")
    say("info", "tunnel session started", obj="tunnels.session")
    server.serve_forever()


if __name__ == "__main__":
    main()
