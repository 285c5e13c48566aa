"""The floor: a relay that copies the bytes of connections and knows nothing of HTTP. Nothing in Python costs less.

`python -m bench.relay --port N --upstream PORT`, both on 127.0.0.1.
"""

import argparse
import asyncio
from typing import cast

import uvloop


class Side(asyncio.Protocol):
    """One of the two connections of a pair; what it receives goes to the other, or waits until there is one."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.other: Side | None = None
        self.early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()


async def pair(client: Side, upstream_port: int) -> None:
    """Connect a client's side to the upstream."""
    try:
        _, upstream = await asyncio.get_running_loop().create_connection(Side, "127.0.0.1", upstream_port)
    except OSError:
        client.transport.close()
        return
    upstream.other, client.other = client, upstream
    upstream.transport.write(client.early)
    if client.transport.is_closing():
        upstream.transport.close()


class Client(Side):
    """The accepted side."""

    def __init__(self, upstream_port: int, pairing: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self._pairing = pairing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        task = asyncio.get_running_loop().create_task(pair(self, self._upstream_port))
        self._pairing.add(task)
        task.add_done_callback(self._pairing.discard)


async def serve(port: int, upstream_port: int) -> None:
    pairing: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(upstream_port, pairing), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.upstream))


if __name__ == "__main__":
    main()
