# Tested in tests/serving/test_listening.py.
"""uvicorn's connections, with limits: how long one may send no headers, and how many there are."""

import asyncio
import json
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LINGER = 0.2


class Connection(HttpToolsProtocol):
    """A connection of a caller.

    Uvicorn waits for headers without end. Its own limit of connections refuses requests, also of callers that were
    there before, and takes any number of connections that send nothing.

    Args:
        seconds: In which the headers of a request must have come.
        most: Connections at once.
        **given: What uvicorn gives it.
    """

    def __init__(self, seconds: float, most: int, **given: Any) -> None:
        super().__init__(**given)
        self._seconds, self._most, self._refused = seconds, most, False
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or refuse it."""
        if len(self.connections) >= self._most:
            self._refused = True
            transport.write(_refusal(self._most))
            # With something unread at its end the caller would be told that the connection broke.
            self.loop.call_later(_LINGER, transport.close)
            return
        super().connection_made(transport)
        # Head and body of an answer are two writes; without this the second waits 40 ms for the caller's receipt.
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on, unless it was refused."""
        if not self._refused:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take account of its end."""
        self._have()
        if not self._refused:
            super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the headers of the next request."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """Have them."""
        self._have()
        super().on_headers_complete()

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self._seconds, self.transport.abort)

    def _have(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _refusal(connections: int) -> bytes:
    body = json.dumps({"error": f"{connections:,} connections are open, and no more are taken; come back later."})
    lines = "HTTP/1.1 503 Service Unavailable", "Retry-After: 1", "Connection: close", "Content-Type: application/json"
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()
