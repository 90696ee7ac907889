"""What `tests/cli/test_serve.py` cannot see from outside."""

import asyncio
import socket

import pytest

from snnet.errors import EngineError
from snnet.serving import Addresses
from snnet.serving.listening import HttpServer, _room

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


def test_connections_beyond_the_bound_are_told_so_and_others_go_on() -> None:
    app = fastapi.FastAPI()

    @app.get("/")
    async def root() -> dict[str, int]:
        return {"found": 1}

    async def main() -> list[bytes]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        server = HttpServer(app, Addresses(connections=2))
        port = int((await server.start("127.0.0.1", 0)).rpartition(":")[2])
        first, _idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.05)
        silent, asking = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        asking[1].write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        told = [await reader.read() for reader, _ in (silent, asking)]
        first[1].write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        told.append(await first[0].readuntil(b"}"))
        first[1].close()
        await asyncio.sleep(0.05)
        later = await asyncio.open_connection("127.0.0.1", port)
        later[1].write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        told.append(await later[0].readuntil(b"}"))
        for _, writer in (_idle, silent, asking, later):
            writer.close()
        await asyncio.sleep(0.3)
        await server.stop()
        return told

    faults = list[object]()
    *refused, before, after = asyncio.run(main())
    for one in refused:
        assert one.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1" in one
        assert one.endswith(b'\r\n\r\n{"error": "2 connections are open, and no more are taken; come back later."}')
    assert before.startswith(b"HTTP/1.1 200") and after.startswith(b"HTTP/1.1 200") and faults == []


def test_no_more_connections_are_taken_than_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    for allowed, found in ((1024, 824), (100, 1), (2200, 2000), (resource.RLIM_INFINITY, 2000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, allowed=allowed: (allowed, 4096))
        assert _room(2000) == found
    assert "824 connections are taken and not 2000: this process may open 1024 files" in caplog.text
    assert len(caplog.records) == 2


def test_a_certificate_that_cannot_be_read_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    missing = tmp_path_factory.mktemp("tls") / "missing.pem"

    async def main() -> None:
        await HttpServer(fastapi.FastAPI(), Addresses(certificate=missing, key=missing)).start("127.0.0.1", 0)

    with pytest.raises(EngineError, match=r"missing\.pem cannot be used"):
        asyncio.run(main())
