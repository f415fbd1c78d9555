"""`serve` inside a real kernel: where its log appears, and what outlives what."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from llmws_tutorial.simulator import place_call

SERVE = """
from llmws_tutorial.notebook import serve
from llmws_tutorial.steps.step3 import app
server = serve(app)
print(server.port)
"""


class Kernel:
    """A kernel to run cells in, one after another."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.printed: dict[str, str] = {}
        self.states: list[tuple[str, str]] = []

    def run(self, code: str) -> str:
        """Run a cell; the result is the id of its request."""
        cell = str(self.client.execute(code))
        reply = self.client.get_shell_msg(timeout=30)
        assert reply["content"]["status"] == "ok", reply["content"]
        self.read_until(lambda: ("idle", cell) in self.states)
        return cell

    def read_until(self, is_reached: Callable[[], bool]) -> None:
        """Collect what happens, by the cell that it belongs to, until something is reached."""
        while not is_reached():
            message = self.client.get_iopub_msg(timeout=30)
            cell = str(message["parent_header"]["msg_id"])
            content = message["content"]
            if message["msg_type"] == "stream":
                self.printed[cell] = self.printed.get(cell, "") + content["text"]
            self.states.append((content.get("execution_state", message["msg_type"]), cell))


def answers(port: int) -> bool:
    try:
        connect(f"ws://127.0.0.1:{port}/llm-websocket/x").close_socket()
    except (OSError, WebSocketException):
        return False
    return True


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3")
    yield Kernel(manager, client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_log_appears_under_the_cell_that_serves(kernel: Kernel) -> None:
    cell = kernel.run(SERVE)
    port = int(kernel.printed[cell])
    kernel.client.execute("import time; time.sleep(1)")  # a later cell is running meanwhile
    asyncio.run(place_call(f"ws://127.0.0.1:{port}/llm-websocket/", call_id="seen"))
    kernel.read_until(lambda: "call 'seen': closed" in kernel.printed[cell])
    assert set(kernel.printed) == {cell}


def test_what_a_handler_prints_appears_there_too(kernel: Kernel) -> None:
    cell = kernel.run(SERVE)
    kernel.run("app.get('/loud')(lambda: print('printed by a handler'))")
    kernel.run("from urllib.request import urlopen; urlopen(server.url + 'loud').close()")
    kernel.read_until(lambda: "printed by a handler" in kernel.printed[cell])
    assert set(kernel.printed) == {cell}


def test_cells_can_be_run_twice_and_out_of_order(kernel: Kernel) -> None:
    first = int(kernel.printed[kernel.run(SERVE)])
    kernel.run("server.stop()")
    kernel.run("server.stop()")
    kernel.run("app.get('/')(lambda: 'defined late')")
    second = int(kernel.printed[kernel.run(SERVE)])
    third = int(kernel.printed[kernel.run(SERVE)])
    assert first == second == third
    assert answers(third)


def test_a_route_that_is_defined_later_counts_from_the_next_call(kernel: Kernel) -> None:
    kernel.run(SERVE)
    kernel.run("app.get('/')(lambda: 'late')")
    kernel.run("from urllib.request import urlopen; page = urlopen(server.url).read()")
    cell = kernel.run("print(page)")
    assert kernel.printed[cell] == "b'\"late\"'\n"


def test_an_interrupted_cell_leaves_the_server_running(kernel: Kernel) -> None:
    port = int(kernel.printed[kernel.run(SERVE)])
    cell = str(kernel.client.execute("import time; print('busy'); time.sleep(30)"))
    kernel.read_until(lambda: kernel.printed.get(cell) == "busy\n")
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=30)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert answers(port)


def test_a_killed_kernel_leaves_nothing_behind(kernel: Kernel) -> None:
    port = int(kernel.printed[kernel.run(SERVE)])
    kernel.manager.signal_kernel(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while answers(port):
        assert time.monotonic() < deadline
    assert not answers(port)
