"""A reverse proxy that puts the dashboard below a path, as hubs of notebooks do."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Final

PREFIX: Final = "/user/ada/proxy/3001"
"""The path of the dashboard behind the proxy; all else is not found."""
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@contextlib.contextmanager
def proxied(port: int) -> Iterator[str]:
    """Proxy the server at a port of this machine; the value is its root, without a slash."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="reverse proxy")
    thread.start()
    try:
        starting = asyncio.start_server(lambda *ends: _pass(port, *ends), "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PREFIX}"
        finally:
            asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    passing = asyncio.all_tasks() - {asyncio.current_task()}
    for task in passing:
        task.cancel()
    await asyncio.gather(*passing, return_exceptions=True)


async def _pass(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one request on, without the prefix; then bytes both ways, for what is no request."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        first, _, headers = head.partition(b"\r\n")
        method, path, version = first.decode().split(" ")
        if not path.startswith(PREFIX):
            writer.write(_NOT_FOUND)
            writer.close()
            return
        if b"\r\nupgrade:" not in headers.lower():  # each request is to have its own connection
            kept = [line for line in headers.split(b"\r\n") if not _is_about_connection(line)]
            headers = b"connection: close\r\n" + b"\r\n".join(kept)
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        path = path.removeprefix(PREFIX) or "/"
        outer.write(f"{method} {path} {version}\r\n".encode() + headers)
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer))


def _is_about_connection(line: bytes) -> bool:
    return line.lower().startswith(b"connection:")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
