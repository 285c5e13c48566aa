"""A wire between a function and its upstream that a test can cut: what a frozen instance finds when it thaws."""

import select
import socket
import struct
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from tests.deploy.lambda_runtime import PATIENCE_S

LINGER_0 = struct.pack("ii", 1, 0)
"""Closing such a socket resets the connection."""


class Wire(ThreadingTCPServer):
    """Forwards a port of its own to the upstream's. `connections` counts those that were opened. A context manager."""

    def __init__(self, upstream_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(upstream_url)
        self.upstream = (str(parts.hostname), int(parts.port or 80))
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.connections = 0
        self.open: dict[socket.socket, threading.Event] = {}

    def __enter__(self) -> "Wire":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.cut(reset=True)
        self.server_close()

    def cut(self, reset: bool) -> None:
        """Close every connection towards the function, politely or by a reset; return when that is done."""
        for client, closed in list(self.open.items()):
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            client.shutdown(socket.SHUT_RD)
            assert closed.wait(PATIENCE_S)


class _Connection(BaseRequestHandler):
    server: Wire
    request: socket.socket

    def handle(self) -> None:
        closed = self.server.open[self.request] = threading.Event()
        self.server.connections += 1
        try:
            with self.request, socket.create_connection(self.server.upstream) as upstream:
                self._copy(upstream)
        finally:
            del self.server.open[self.request]
            closed.set()

    def _copy(self, upstream: socket.socket) -> None:
        """Forward both ways until either side has ended."""
        others = {self.request: upstream, upstream: self.request}
        while True:
            for source in select.select(list(others), (), ())[0]:
                data = source.recv(65536)
                if not data:
                    return
                others[source].sendall(data)
