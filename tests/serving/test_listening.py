"""What `tests/cli/test_serve.py` cannot see from outside."""

import asyncio
import socket

import pytest

from snnet.errors import EngineError
from snnet.serving import Addresses
from snnet.serving.listening import HttpServer

fastapi = pytest.importorskip("fastapi")


def test_answers_are_sent_at_once_and_nothing_listens_afterwards() -> None:
    app = fastapi.FastAPI()

    @app.get("/")
    async def root() -> dict[str, int]:
        return {"found": 1}

    async def main() -> tuple[bytes, list[int], int]:
        server = HttpServer(app, Addresses())
        address = await server.start("127.0.0.1", 0)
        port = int(address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = await reader.readuntil(b"}")
        sockets = [one.transport.get_extra_info("socket") for one in server._server.server_state.connections]
        options = [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets]
        with pytest.raises(EngineError, match=f"Cannot listen at 127.0.0.1:{port}"):
            await HttpServer(app, Addresses()).start("127.0.0.1", port)
        writer.close()
        await server.stop()
        return answer, options, port

    answer, options, port = asyncio.run(main())
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"found":1}')
    assert options == [1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_certificate_that_cannot_be_read_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    missing = tmp_path_factory.mktemp("tls") / "missing.pem"

    async def main() -> None:
        await HttpServer(fastapi.FastAPI(), Addresses(certificate=missing, key=missing)).start("127.0.0.1", 0)

    with pytest.raises(EngineError, match=r"missing\.pem cannot be used"):
        asyncio.run(main())
