"""A real Jupyter server with jupyter-server-proxy, in a process of its own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.typing import Origin

from llmws_tutorial.notebook.doctor import PROJECT

TIMEOUT_S: Final = 60
BASE: Final = "/some/base/"
TOKEN: Final = "of-jupyter"


@dataclass(frozen=True)
class Jupyter:
    """A Jupyter server that runs.

    Attributes:
        port: where it listens, on 127.0.0.1.
        log: what it has logged since, line by line.
    """

    port: int
    log: list[str]

    @property
    def origin(self) -> str:
        """What its pages come from."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, *, body: Any = None, **headers: str) -> tuple[int, str, bytes]:
        """Status, location and body of an answer; whoever asks shows the token.

        Args:
            path: below the server's base path.
            body: what is posted, as JSON; None: nothing is.
            headers: further ones.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        shown = {"Authorization": f"token {TOKEN}", **headers}
        method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, f"{BASE}{path}", text, shown)
        answer = connection.getresponse()
        found = answer.status, answer.getheader("Location") or "", answer.read()
        connection.close()
        return found

    def socket(self, path: str, origin: str | None = None) -> connect:
        """Open a socket through the server as one of its pages would, or one from elsewhere."""
        return connect(
            f"ws://127.0.0.1:{self.port}{BASE}{path}",
            additional_headers={"Authorization": f"token {TOKEN}"},
            origin=Origin(origin or self.origin),
            open_timeout=TIMEOUT_S,
        )


@contextmanager
def jupyter(folder: Path, application: str = "server", **variables: str) -> Iterator[Jupyter]:
    """Start Jupyter at a free port, with the project's entry points as pip would write them.

    Args:
        folder: for everything that it writes; its root is the folder itself.
        application: "server", or "lab" for a page as well.
        variables: further environment variables.
    """
    with socket.create_server(("127.0.0.1", 0)) as spare:  # of port 0 Jupyter says that it is 0
        port = spare.getsockname()[1]
    settings = {"port": port, "base_url": BASE, "token": TOKEN, "root_dir": folder}
    options = [f"--ServerApp.{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "jupyter", application, "--no-browser", "--allow-root"]
    with subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env=os.environ | _homes(folder) | variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr
            _wait_until_up(process.stderr, port)
            log: list[str] = []
            threading.Thread(target=log.extend, args=(process.stderr,), daemon=True).start()
            yield Jupyter(port, log)
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


def _wait_until_up(log: Iterable[str], port: int) -> None:
    read = []
    for line in log:
        read.append(line)
        if "?token=" in line:  # which it says a moment before it listens
            break
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port)).close()
        assert time.monotonic() < deadline, "".join(read)
        time.sleep(0.05)


def _homes(folder: Path) -> dict[str, str]:
    """Variables that keep Jupyter's files in one folder, and have it find our entry points."""
    installed = folder / "installed" / "llmws_tutorial-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: llmws-tutorial\nVersion: 0\n")
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]
    with (installed / "entry_points.txt").open("w") as file:
        for group, points in groups.items():
            file.write(f"[{group}]\n" + "".join(f"{n} = {at}\n" for n, at in points.items()))
    homes = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    return homes | {"HOME": str(folder), "PYTHONPATH": f"{installed.parent}{os.pathsep}{PROJECT}"}
